package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// file assembles a safetensors file from a header and data.
func file(header string, data int) []byte {
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), make([]byte, data)...)
}

func TestDamagedFiles(t *testing.T) {
	const one = `{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}`
	huge := binary.LittleEndian.AppendUint64(nil, 1<<40)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "0 bytes are too few"},
		{"absurd header", append(huge, make([]byte, 100)...), "the header claims 1099511627776 bytes, more than the 100000000 allowed"},
		{"header past the end", append(binary.LittleEndian.AppendUint64(nil, 90000), one...), "the header claims 90000 bytes but only 57 follow: truncated"},
		{"not JSON", file("hello", 0), "header: is not a JSON object"},
		{"cut JSON", file(one[:30], 24), `header: tensor "w"`},
		{"text after JSON", file(one+"x", 24), "header: has text after its JSON"},
		{"truncated data", file(one, 20), `tensor "w" ends at byte 24 but the data has only 20: truncated`},
		{"data left over", file(one, 28), "the data has 28 bytes; the tensors use 24"},
		{"unknown dtype", file(strings.Replace(one, "F32", "F31", 1), 24), `tensor "w" has the unknown dtype "F31"`},
		{"wrong shape", file(strings.Replace(one, "[2,3]", "[2,4]", 1), 24), `tensor "w" has 24 bytes; want 32 for F32 [2 4]`},
		{"negative shape", file(strings.Replace(one, "[2,3]", "[-2,3]", 1), 24), `tensor "w" has the impossible shape [-2 3]`},
		{"overflowing shape", file(strings.Replace(one, "[2,3]", "[4611686018427387904,4611686018427387904]", 1), 24), "impossible shape"},
		{"reversed offsets", file(strings.Replace(one, "[0,24]", "[24,0]", 1), 24), `tensor "w" has the impossible offsets [24 0]`},
		{"one offset", file(strings.Replace(one, "[0,24]", "[24]", 1), 24), `tensor "w" has the impossible offsets [24]`},
		{"twice", file(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), `tensor "w" is listed twice`},
		{"overlap", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}`, 6), `tensors "a" and "b" overlap`},
		{"hole", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":[6,8]}}`, 8), `tensor "b" begins at byte 6; want 4`},
		{"shape is a word", file(strings.Replace(one, "[2,3]", `"x"`, 1), 24), `header: tensor "w"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.safetensors")
			if err := os.WriteFile(path, c.data, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Fatalf("got %v\nwant the file and %q", err, c.want)
			}
		})
	}
}

// TestEveryTruncation cuts a good file at every length: an error, never a panic.
func TestEveryTruncation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	write(t, path, []Tensor{Float32("a", F32, []int{3}, []float32{1, 2, 3}), Float32("b", BF16, []int{2, 1}, []float32{4, 5})}, nil)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := Parse("cut", whole[:n]); err == nil {
			t.Fatalf("%d of %d bytes were accepted", n, len(whole))
		}
	}
}

func write(t *testing.T, path string, ts []Tensor, meta map[string]string) {
	t.Helper()
	if err := Write(path, ts, meta); err != nil {
		t.Fatal(err)
	}
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	f := []float32{1.5, -2, 3.25e-8, float32(math.Inf(1)), 0, 1e38}
	write(t, path, []Tensor{
		Float32("z", F32, []int{2, 3}, f), Float32("a", BF16, []int{6}, f),
		{"i", I64, []int{1}, func() []byte { return binary.LittleEndian.AppendUint64(nil, 7) }},
		{"empty", F32, []int{0, 4}, func() []byte { return nil }},
		{"scalar", F32, nil, func() []byte { return PackF32([]float32{9}) }},
	}, map[string]string{"format": "pt"})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Fatalf("mode %v, %v; want 0644", info.Mode(), err)
	}
	a, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got := fmt.Sprint(a.Names(), a.Metadata()); got != "[a empty i scalar z] map[format:pt]" {
		t.Fatal(got)
	}
	z, err := a.Floats("z")
	if err != nil || fmt.Sprint(z) != fmt.Sprint(f) {
		t.Fatal(z, err)
	}
	b, _ := a.Floats("a")
	if want := "[1.5 -2 3.259629e-08 +Inf 0 9.96921e+37]"; fmt.Sprint(b) != want {
		t.Fatal(b, want)
	}
	if _, err := a.Floats("i"); err == nil || !strings.Contains(err.Error(), `tensor "i" holds I64; want F32`) {
		t.Fatal(err)
	}
	first, _ := os.ReadFile(path)
	write(t, path, []Tensor{
		{"scalar", F32, nil, func() []byte { return PackF32([]float32{9}) }},
		{"empty", F32, []int{0, 4}, func() []byte { return nil }},
		{"i", I64, []int{1}, func() []byte { return binary.LittleEndian.AppendUint64(nil, 7) }},
		Float32("a", BF16, []int{6}, f), Float32("z", F32, []int{2, 3}, f),
	}, map[string]string{"format": "pt"})
	if second, _ := os.ReadFile(path); string(first) != string(second) {
		t.Fatal("the order of the arguments changed the bytes")
	}
}

func TestWriteErrorsLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.safetensors")
	short := Tensor{"w", F32, []int{4}, func() []byte { return make([]byte, 12) }}
	for _, ts := range [][]Tensor{{short}, {Float32("a", F32, []int{1}, []float32{1}), Float32("a", F32, []int{1}, []float32{1})}, {{"u", "F33", nil, nil}}} {
		if err := Write(path, ts, nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Fatal(err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}

func TestShards(t *testing.T) {
	dir := t.TempDir()
	index := filepath.Join(dir, "model.safetensors.index.json")
	write(t, filepath.Join(dir, "s1.safetensors"), []Tensor{Float32("a", F32, []int{1}, []float32{1})}, nil)
	write(t, filepath.Join(dir, "s2.safetensors"), []Tensor{Float32("b", F32, []int{1}, []float32{2})}, nil)
	put := func(s string) {
		t.Helper()
		if err := os.WriteFile(index, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}}`)
	a, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if b, err := a.Floats("b"); err != nil || b[0] != 2 || len(a.Files()) != 2 {
		t.Fatal(b, err, a.Files())
	}
	for _, c := range [][2]string{
		{`{"weight_map":{"a":"s1.safetensors","c":"s1.safetensors"}}`, "lacks 1 tensors that the index places in it: c"},
		{`{"weight_map":{"a":"gone1.safetensors","b":"gone2.safetensors"}}`, "gone2.safetensors: no such file"},
		{`{"weight_map":{}}`, "weight_map is empty"},
		{`{"weight_map":{"a":"../x.safetensors"}}`, "lies outside the directory"},
		{`{`, "index.json: unexpected end of JSON"},
	} {
		put(c[0])
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: got %v\nwant %q", c[0], err, c[1])
		}
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "neither model.safetensors nor") {
		t.Error(err)
	}
}

// TestHalf holds every binary16 number against its definition.
func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		sign, exp, frac := 1.0, h>>10&31, float64(h&0x3ff)
		if h>>15 == 1 {
			sign = -1
		}
		var want float64
		switch exp {
		case 0:
			want = sign * frac * math.Pow(2, -24)
		case 31:
			want = math.Inf(int(sign))
			if frac != 0 {
				want = math.NaN()
			}
		default:
			want = sign * (1 + frac/1024) * math.Pow(2, float64(exp-15))
		}
		got := float64(HalfToFloat(uint16(h)))
		if got != want && !(math.IsNaN(got) && math.IsNaN(want)) || math.Signbit(got) != math.Signbit(sign) && want == 0 {
			t.Fatalf("%#04x: got %v, want %v", h, got, want)
		}
	}
}

func TestBF16Rounding(t *testing.T) {
	for _, c := range []struct {
		bits uint32
		want uint16
	}{
		{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f808001, 0x3f81}, {0x3f818000, 0x3f82}, // ties to even
		{0x7f7fffff, 0x7f80}, {0x7f800001, 0x7fc0}, {0x80000000, 0x8000}, {0xff800000, 0xff80},
	} {
		if got := FloatToBF16(math.Float32frombits(c.bits)); got != c.want {
			t.Errorf("%#x: got %#x, want %#x", c.bits, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(file(`{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}`, 24))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Parse("fuzz", data)
		if err != nil {
			return
		}
		for _, n := range a.Names() {
			i, _ := a.Info(n)
			if int64(len(a.Bytes(n))) != i.Numel()*int64(i.DType.Size()) {
				t.Fatalf("%s: %d bytes for %v", n, len(a.Bytes(n)), i)
			}
		}
	})
}
