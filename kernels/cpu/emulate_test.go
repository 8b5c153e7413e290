package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// machine interprets the few instructions of the register tiles, read from the generated assembly, so that the tiles of
// instruction sets that this processor lacks are checked on every machine: which registers, addresses and strides they
// use, and the bits they give. Of the encoding it checks VDPBF16PS, which stands in the source as bytes.
type machine struct {
	gp     map[string]int64
	vec    [32][16]float32
	args   map[int]int64 // by offset from FP
	mem    []float32     // addresses count bytes from its start
	flag   int64         // the last result
	pc     int
	code   []string
	labels map[string]int
	long   uint32 // the first four bytes of an instruction that is written as bytes
}

var (
	argument = regexp.MustCompile(`^\w+\+(\d+)\(FP\)$`)
	address  = regexp.MustCompile(`^(-?\d+)?\((\w+)\)(?:\((\w+)\*(\d)\))?$`)
)

// tileSources reads the functions of a file of assembly.
func tileSources(t *testing.T, file string) map[string]*machine {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	funcs := map[string]*machine{}
	var f *machine
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "//")
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "TEXT ·"):
			name, _, _ := strings.Cut(strings.TrimPrefix(line, "TEXT ·"), "(")
			f = &machine{labels: map[string]int{}}
			funcs[name] = f
		case line == "" || f == nil:
		case strings.HasSuffix(line, ":"):
			f.labels[strings.TrimSuffix(line, ":")] = len(f.code)
		default:
			f.code = append(f.code, line)
		}
	}
	return funcs
}

// call runs the function from its start.
func (m *machine) call(args ...int64) {
	m.gp, m.args, m.pc = map[string]int64{}, map[int]int64{}, 0
	for i := range m.vec {
		for l := range m.vec[i] {
			m.vec[i][l] = float32(math.NaN()) // what was not written
		}
	}
	for i, a := range args {
		m.args[8*i] = a
	}
	for steps := 0; m.step(); steps++ {
		if steps > 1e6 {
			panic("endless loop")
		}
	}
}

// value is an immediate, an argument or a general register.
func (m *machine) value(op string) int64 {
	if a := argument.FindStringSubmatch(op); a != nil {
		n, _ := strconv.Atoi(a[1])
		return m.args[n]
	}
	if v, ok := strings.CutPrefix(op, "$"); ok {
		n, err := strconv.ParseInt(v, 0, 64)
		if err != nil {
			panic(err)
		}
		return n
	}
	return m.gp[op]
}

// at is the address of a memory operand.
func (m *machine) at(op string) (int64, bool) {
	a := address.FindStringSubmatch(op)
	if a == nil {
		return 0, false
	}
	disp, _ := strconv.ParseInt(a[1], 10, 64)
	scale, _ := strconv.ParseInt(a[4], 10, 64)
	return disp + m.gp[a[2]] + m.gp[a[3]]*scale, true
}

// register gives the number and the lanes of a vector register.
func register(op string) (n, lanes int) {
	n, err := strconv.Atoi(op[1:])
	if err != nil {
		panic(op)
	}
	return n, map[byte]int{'X': 4, 'Y': 8, 'Z': 16}[op[0]]
}

// step does one instruction and reports whether there is a next.
func (m *machine) step() bool {
	name, rest, _ := strings.Cut(m.code[m.pc], " ")
	m.pc++
	ops := strings.Split(strings.ReplaceAll(rest, " ", ""), ",")
	last := ops[len(ops)-1]
	switch name {
	case "RET":
		return false
	case "VZEROUPPER", "PREFETCHT0":
	case "MOVQ":
		m.gp[last] = m.value(ops[0])
	case "LEAQ":
		m.gp[last], _ = m.at(ops[0])
	case "ADDQ", "SUBQ":
		d := m.value(ops[0])
		if name == "SUBQ" {
			d = -d
		}
		m.gp[last] += d
		m.flag = m.gp[last]
	case "DECQ":
		m.gp[last]--
		m.flag = m.gp[last]
	case "TESTQ":
		m.flag = m.value(ops[0]) & m.value(ops[1])
	case "JMP", "JZ", "JNZ", "JL", "JGE":
		if map[string]bool{"JMP": true, "JZ": m.flag == 0, "JNZ": m.flag != 0, "JL": m.flag < 0, "JGE": m.flag >= 0}[name] {
			m.pc = m.labels[last]
		}
	default:
		m.vector(name, ops)
	}
	return true
}

func (m *machine) vector(name string, ops []string) {
	last := ops[len(ops)-1]
	switch name {
	case "VXORPS":
		d, _ := register(last)
		if ops[0] != ops[1] {
			panic("an xor that is not a zeroing")
		}
		m.vec[d] = [16]float32{} // a vector instruction clears what lies above its width
	case "VMOVUPS":
		if at, store := m.at(last); store {
			r, n := register(ops[0])
			copy(m.mem[at/4:at/4+int64(n)], m.vec[r][:n])
			return
		}
		d, n := register(last)
		at, _ := m.at(ops[0])
		copy(m.vec[d][:n], m.mem[at/4:])
	case "VBROADCASTSS":
		d, n := register(last)
		at, _ := m.at(ops[0])
		for l := range n {
			m.vec[d][l] = m.mem[at/4]
		}
	case "VFMADD231PS":
		b, n := register(ops[0])
		a, _ := register(ops[1])
		d, _ := register(last)
		for l := range n {
			m.vec[d][l] = FMA(m.vec[a][l], m.vec[b][l], m.vec[d][l])
		}
	case "LONG":
		m.long = uint32(m.value(ops[0]))
	case "WORD":
		m.dotPairs(m.long, uint16(m.value(ops[0])))
	default:
		panic("unknown instruction " + name)
	}
}

// dotPairs decodes and does VDPBF16PS zmm1, zmm2, zmm3: EVEX.512.F3.0F38.W0 52 /r.
func (m *machine) dotPairs(prefix uint32, rest uint16) {
	bit := func(x uint32, i int) int { return int(x >> i & 1) }
	p0, p1, p2, modrm := prefix>>8&255, prefix>>16&255, prefix>>24, uint32(rest>>8)
	switch {
	case prefix&255 != 0x62, rest&255 != 0x52, modrm>>6 != 3:
		panic(fmt.Sprintf("not the opcode on registers: %#08x %#04x", prefix, rest))
	case p0&0xf != 2, p1&3 != 2, bit(p1, 7) != 0, bit(p1, 2) != 1:
		panic(fmt.Sprintf("map, prefix or W: %#02x %#02x", p0, p1))
	case p2>>5 != 2, p2&7 != 0, bit(p2, 4) != 0:
		panic(fmt.Sprintf("length, mask or broadcast: %#02x", p2))
	}
	d := int(modrm>>3&7) | (1-bit(p0, 7))<<3 | (1-bit(p0, 4))<<4
	b := int(modrm&7) | (1-bit(p0, 5))<<3 | (1-bit(p0, 6))<<4
	a := int(^p1>>3&15) | (1-bit(p2, 3))<<4
	for l := range 16 {
		m.vec[d][l] = dotPair(m.vec[a][l], m.vec[b][l], m.vec[d][l])
	}
}

// dotPair is one lane of VDPBF16PS: the upper halves first, then the lower.
func dotPair(a, b, acc float32) float32 {
	half := func(x float32, shift int) float32 { return widen(uint16(math.Float32bits(x) >> shift)) }
	return FMA(half(a, 0), half(b, 0), FMA(half(a, 16), half(b, 16), acc))
}

// TestTilesEmulated runs every register tile of every path in the interpreter and compares with the definition.
func TestTilesEmulated(t *testing.T) {
	for _, c := range []struct {
		file, suffix string
		tiles        int
		madd         func(a, b, acc float32) float32
	}{
		{"asm_gemm_avx2_amd64.s", "AVX2", 14, FMA}, // the interpreter's own check: the hardware runs these
		{"asm_gemm_avx512_amd64.s", "AVX512", 24, FMA},
		{"asm_gemm_bf16_amd64.s", "BF16", 24, dotPair},
	} {
		r := rand.New(rand.NewPCG(13, 14))
		funcs := tileSources(t, c.file)
		if len(funcs) != c.tiles {
			t.Errorf("%s has %d tiles, want %d", c.file, len(funcs), c.tiles)
		}
		for name, f := range funcs {
			var m, n int
			if _, err := fmt.Sscanf(name, "gemmTile%dx%d"+c.suffix, &m, &n); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for _, k := range []int{1, 3, 4, 9} {
				for _, transA := range []bool{false, true} {
					ars, aks := k+2, 1
					if transA {
						ars, aks = 1, m+1
					}
					bks, ldc := n+3, n+5
					a0, b0 := 10, 10+m*(k+2)+k*(m+1)
					c0 := b0 + k*bks
					f.mem = make([]float32, c0+m*ldc+40)
					for i := range f.mem {
						f.mem[i] = float32(r.NormFloat64())
					}
					want := append([]float32(nil), f.mem...)
					load := r.IntN(2)
					for i := range m {
						for j := range n {
							acc := float32(load) * want[c0+i*ldc+j]
							for s := range k {
								acc = c.madd(want[a0+i*ars+s*aks], want[b0+s*bks+j], acc)
							}
							f.mem[c0+i*ldc+j], want[c0+i*ldc+j] = want[c0+i*ldc+j], acc
						}
					}
					f.call(int64(k), int64(4*a0), int64(4*ars), int64(4*aks), int64(4*b0), int64(4*bks), int64(4*c0), int64(4*ldc), int64(load))
					sameBits(t, fmt.Sprintf("%s, k=%d, transA=%t, load=%d", name, k, transA, load), f.mem, want)
				}
			}
		}
	}
}
