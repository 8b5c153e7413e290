package features_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/features"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/vision"
)

// sizes are those of the test's images: wide, tall, square, small and large.
var sizes = [][]int{{1, 120, 60}, {2, 50, 130}, {3, 96, 96}, {4, 31, 29}, {5, 300, 280}}

// pictures is a set of files, whose references are their contents.
func pictures(t *testing.T) step.Ref {
	t.Helper()
	dir := t.TempDir()
	var lines strings.Builder
	for i, spec := range sizes {
		path := filepath.Join(dir, fmt.Sprintf("%d.png", i))
		raw := vision.EncodePNG(testmodel.Picture(spec))
		testmodel.Put(t, path, raw)
		sum := sha256.Sum256(raw)
		digest := hex.EncodeToString(sum[:])
		step.Locate(digest, path)
		ex, err := json.Marshal(map[string]any{"id": fmt.Sprint(i), "split": "train", "caption": "a film", "image": step.FileRef(digest, path)})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(ex, '\n'))
	}
	return testmodel.Ready(map[string]string{"examples.jsonl": lines.String(), "meta.json": `{"source": "test"}`})
}

// work is what a test does within a step.
type work func(ctx *step.Context, base step.Ref, m model.Model, r *data.Reader) error

type workParams struct {
	Name string
	Do   work `key:"local"`
}

var workOp = &step.Op{Name: "test.work", Version: "1", Run: func(ctx *step.Context, _ string) error {
	base := ctx.Step().In[0]
	m, err := models.Open(ctx, base)
	if err != nil {
		return err
	}
	r, err := data.Open(ctx.Input(1))
	if err != nil {
		return err
	}
	return ctx.Step().Params.(workParams).Do(ctx, base, m, r)
}}

var serial int

// within runs do in a step that has the base and the set, and gives what it logged.
func within(t *testing.T, r *testmodel.Runner, base model.Systems, set step.Ref, do work) string {
	t.Helper()
	serial++
	var log []string
	r.Log = func(line string) { log = append(log, line) }
	if _, err := r.Run(context.Background(), step.New(workOp, workParams{fmt.Sprint(t.Name(), serial), do}, base.All()[0].Base, set)); err != nil {
		t.Fatal(err)
	}
	return strings.Join(log, "\n")
}

// looked is what a pass over the images gave.
type looked struct {
	samples []*model.Sample
	known   int
	rows    []float32
}

func ask(m model.Model, prompt string) func(*vision.Image) (*model.Sample, error) {
	return func(im *vision.Image) (*model.Sample, error) {
		return m.Encode(model.Input{Image: im, Prompt: prompt, Target: "a film"})
	}
}

// look gives the features of all images through the cache, as many at once as batch says.
func look(ctx *step.Context, base step.Ref, m model.Model, r *data.Reader, prompt string, batch int) (looked, error) {
	var out looked
	c, err := features.Open(ctx, base, m)
	if err != nil {
		return out, err
	}
	defer c.Close()
	for lo := 0; lo < r.Len(); lo += batch {
		var samples []*model.Sample
		var images []*features.Image
		for i := lo; i < min(lo+batch, r.Len()); i++ {
			s, x, err := c.Encode(r, i, ask(m, prompt))
			if err != nil {
				return out, err
			}
			defer x.Close()
			if x.Known() {
				out.known++
			}
			samples, images = append(samples, s), append(images, x)
		}
		tape := tensor.NewScratch()
		out.rows = append(out.rows, ops.Floats(features.Vision(m, ops.From(ctx), samples, images, tape))...)
		tape.Release()
		out.samples = append(out.samples, samples...)
	}
	return out, nil
}

// plain is what the model itself gives.
func plain(m model.Model, r *data.Reader, prompt string) (looked, error) {
	var out looked
	for i := range r.Len() {
		im, err := r.Image(i)
		if err != nil {
			return out, err
		}
		s, err := ask(m, prompt)(im)
		if err != nil {
			return out, err
		}
		out.samples = append(out.samples, s)
	}
	tape := tensor.NewScratch()
	defer tape.Release()
	out.rows = ops.Floats(m.Vision(out.samples, tape))
	return out, nil
}

// hidden are the decoder's states of the samples, whose features are given.
func hidden(m model.Model, x looked) []float32 {
	tape := tensor.NewScratch()
	defer tape.Release()
	f := tape.Empty(ops.CPU(), tensor.F32, len(x.rows)/m.Info().VisionHidden, m.Info().VisionHidden)
	f.SetFloats(x.rows)
	return ops.Floats(m.Hidden(&model.Batch{Samples: x.samples, Features: f, Tape: tape}))
}

// TestFamilies: of every family, what was found is what is computed, bit by bit, for images of many shapes and another
// prompt; a sample without pixels is the sample.
func TestFamilies(t *testing.T) {
	set := pictures(t)
	for _, name := range models.Families() {
		t.Run(name, func(t *testing.T) {
			r, base := testmodel.NewRunner(t), models.Tiny(name)
			log := within(t, r, base, set, func(ctx *step.Context, base step.Ref, m model.Model, r *data.Reader) error {
				want, err := plain(m, r, "Describe.")
				if err != nil {
					return err
				}
				got, err := look(ctx, base, m, r, "Describe.", 2)
				if err != nil {
					return err
				}
				if got.known != 0 || !slices.Equal(got.rows, want.rows) {
					t.Errorf("%d known at first; rows as computed: %t", got.known, slices.Equal(got.rows, want.rows))
				}
				return nil
			})
			if want := fmt.Sprintf("0 found on disk, %d computed and kept", len(sizes)); !strings.Contains(log, want) {
				t.Errorf("log %q lacks %q", log, want)
			}
			within(t, r, base, set, func(ctx *step.Context, base step.Ref, m model.Model, r *data.Reader) error {
				const other = "What is it, and why?"
				want, err := plain(m, r, other)
				if err != nil {
					return err
				}
				got, err := look(ctx, base, m.Share(), r, other, 3)
				if err != nil {
					return err
				}
				if got.known != len(sizes) || !slices.Equal(got.rows, want.rows) {
					t.Errorf("%d known again, want %d; rows as computed: %t", got.known, len(sizes), slices.Equal(got.rows, want.rows))
				}
				if !slices.Equal(hidden(m, got), hidden(m, want)) {
					t.Error("the decoder sees a difference")
				}
				for i, s := range got.samples {
					full := *want.samples[i]
					if full.Pixels = nil; !reflect.DeepEqual(*s, full) {
						t.Errorf("image %v: the sample without pixels is\n%+v\nwant\n%+v", sizes[i], *s, full)
					}
				}
				return nil
			})
		})
	}
}

// files lists the cache's files, those being written included.
func files(t *testing.T, dir string) (out []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// known runs look and gives how many images were known; the rows must be the model's own.
func known(t *testing.T, r *testmodel.Runner, base model.Systems, set step.Ref) (n int, log string) {
	t.Helper()
	log = within(t, r, base, set, func(ctx *step.Context, base step.Ref, m model.Model, r *data.Reader) error {
		got, err := look(ctx, base, m, r, "Describe.", 2)
		if err != nil {
			return err
		}
		want, err := plain(m, r, "Describe.")
		if err == nil && !slices.Equal(got.rows, want.rows) {
			t.Errorf("%d known: rows differ from the model's", got.known)
		}
		n = got.known
		return err
	})
	return n, log
}

// TestDamage: a file of which any part is damaged is computed again, and is whole afterwards.
func TestDamage(t *testing.T) {
	r, base, set := testmodel.NewRunner(t), models.Tiny("llava"), pictures(t)
	known(t, r, base, set)
	all := files(t, r.Cache)
	if len(all) != len(sizes) {
		t.Fatalf("%d files, want %d", len(all), len(sizes))
	}
	whole, err := os.ReadFile(all[0])
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) []byte {
		raw := slices.Clone(whole)
		raw[at] ^= 4
		return raw
	}
	for name, raw := range map[string][]byte{
		"magic": flipped(3), "width": flipped(8), "rows": flipped(16), "columns": flipped(20), "sum": flipped(25),
		"first number": flipped(64), "last byte": flipped(len(whole) - 1), "cut": whole[:len(whole)-5], "longer": append(slices.Clone(whole), 0),
		"empty": nil, "header alone": whole[:64], "zeros": make([]byte, len(whole)),
	} {
		testmodel.Put(t, all[0], raw)
		if n, _ := known(t, r, base, set); n != len(sizes)-1 {
			t.Errorf("%s: %d known, want %d", name, n, len(sizes)-1)
		}
		if now, _ := os.ReadFile(all[0]); !slices.Equal(now, whole) {
			t.Errorf("%s: the file was not mended", name)
		}
	}
}

// TestKilled: what a killed writer leaves harms nothing and goes when it is old.
func TestKilled(t *testing.T) {
	r, base, set := testmodel.NewRunner(t), models.Tiny("llava"), pictures(t)
	known(t, r, base, set)
	dir := filepath.Dir(filepath.Dir(files(t, r.Cache)[0]))
	old, young := filepath.Join(dir, "part-1"), filepath.Join(dir, "part-2")
	testmodel.Put(t, old, []byte("LBFEAT1"))
	testmodel.Put(t, young, []byte("LBFEAT1"))
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	if n, _ := known(t, r, base, set); n != len(sizes) {
		t.Errorf("%d known, want %d", n, len(sizes))
	}
	left := files(t, r.Cache)
	if slices.Contains(left, old) || !slices.Contains(left, young) {
		t.Errorf("left: %q; want the young temporary file, which another process may be writing, and not the old one", left)
	}
}

// TestKey: other weights in the tower, another configuration and a quantised tower have caches of their own; so has the
// same image standardised.
func TestKey(t *testing.T) {
	r, base, set := testmodel.NewRunner(t), models.Tiny("llava"), pictures(t)
	known(t, r, base, set)
	changed := func(change func(m model.Model)) (n int) {
		within(t, r, base, set, func(ctx *step.Context, base step.Ref, m model.Model, r *data.Reader) error {
			m = m.Trainable()
			if change(m); t.Failed() {
				return nil
			}
			got, err := look(ctx, base, m, r, "Describe.", 2)
			n = got.known
			return err
		})
		return n
	}
	nudge := func(tower model.Tower) func(model.Model) {
		return func(m model.Model) {
			for _, p := range m.Params() {
				if p.Tower == tower {
					v := ops.Floats(p.T())
					v[len(v)-1] += 1
					p.T().SetFloats(v)
					return
				}
			}
			t.Fatal("no parameter")
		}
	}
	first := changed(func(model.Model) {}) // float32 copies may be held in another form than the base
	if again := changed(func(model.Model) {}); again != len(sizes) {
		t.Errorf("%d, then %d known of the same numbers", first, again)
	}
	if n := changed(nudge(model.Language)); n != len(sizes) {
		t.Errorf("%d known of another language model over the same tower, want %d", n, len(sizes))
	}
	if n := changed(nudge(model.Vision)); n != 0 {
		t.Errorf("%d known of another tower", n)
	}
	if n, _ := known(t, r, models.Quantized(base, models.NF4), set); n != 0 {
		t.Errorf("%d known of a quantised tower", n)
	}
	if n, _ := known(t, r, models.Quantized(base, models.NF4, "vision"), set); n != len(sizes) {
		t.Errorf("%d known of a tower that is not quantised, want %d", n, len(sizes))
	}
}

// TestAdapted: with an adapter in the tower nothing is kept nor found, and the log says where it stands.
func TestAdapted(t *testing.T) {
	r, base, set := testmodel.NewRunner(t), models.Tiny("llava"), pictures(t)
	known(t, r, base, set)
	path := ""
	log := within(t, r, base, set, func(ctx *step.Context, base step.Ref, m model.Model, r *data.Reader) error {
		for _, s := range m.Slots() {
			if s.Tower == model.Vision {
				path = s.Path
				s.Linear.Adapters = []*nn.LoRA{{}}
				break
			}
		}
		c, err := features.Open(ctx, base, m)
		if c != nil {
			t.Error("a cache for an adapted tower")
		}
		return err
	})
	if want := "not kept on disk: an adapter stands in the vision tower (first: " + path + ")"; path == "" || !strings.Contains(log, want) {
		t.Errorf("log %q lacks %q", log, want)
	}
	if got := features.Plan(3, 1e6, path); !strings.Contains(got, "an adapter stands in the vision tower (first: "+path+")") {
		t.Error(got)
	}
	if got := features.Plan(3, 1e9, ""); got != "image features kept on disk (3 images, 3 GB)" {
		t.Error(got)
	}
}

// TestLimit: the variable turns the cache off or ends the writing, and a disk that cannot be written costs only time.
func TestLimit(t *testing.T) {
	base, set := models.Tiny("llava"), pictures(t)
	r := testmodel.NewRunner(t)
	t.Setenv(features.Variable, "off")
	if n, _ := known(t, r, base, set); n != 0 {
		t.Error(n)
	}
	if _, err := os.Stat(r.Cache); err == nil {
		t.Error("off, and yet there is a cache")
	}
	t.Setenv(features.Variable, "0.012MB") // files of the tiny model take 4 kB or more
	_, log := known(t, r, base, set)
	if n := len(files(t, r.Cache)); n == 0 || n == len(sizes) || strings.Count(log, "no more are kept on disk") != 1 {
		t.Errorf("%d files of %d with a limit; log: %s", n, len(sizes), log)
	}
	before := len(files(t, r.Cache))
	if n, _ := known(t, r, base, set); n != before || len(files(t, r.Cache)) > before+1 {
		t.Errorf("%d known; %d files, then %d", n, before, len(files(t, r.Cache)))
	}
	t.Setenv(features.Variable, "twenty")
	within(t, r, base, set, func(ctx *step.Context, base step.Ref, m model.Model, r *data.Reader) error {
		if _, err := features.Open(ctx, base, m); err == nil || !strings.Contains(err.Error(), `LIGHTBOX_FEATURES is "twenty"; want "off", or a limit such as "20GB"`) {
			t.Errorf("%v", err)
		}
		return nil
	})
	t.Setenv(features.Variable, "")
	bare := testmodel.NewRunner(t)
	bare.Cache = ""
	if _, log := known(t, bare, base, set); !strings.Contains(log, "not kept on disk: step test.work runs without a cache") {
		t.Errorf("log: %s", log)
	}
	blocked := testmodel.NewRunner(t)
	known(t, blocked, base, set)
	for _, f := range files(t, blocked.Cache) {
		dir := filepath.Dir(f)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		testmodel.Put(t, dir, nil) // a file in the way of each directory
	}
	if n, log := known(t, blocked, base, set); n != 0 || strings.Count(log, "no more are kept on disk") != 1 {
		t.Errorf("%d known; log: %s", n, log)
	}
}

// TestHalf: features of a base under HalfFeatures take half of the space, are numbers of bfloat16 next to the base's, and are
// found as they were computed; the decoder sees them however it gets them.
func TestHalf(t *testing.T) {
	set := pictures(t)
	for _, name := range []string{"llava", "idefics", "qwen2_vl"} {
		r, base := testmodel.NewRunner(t), models.Tiny(name)
		half := models.HalfFeatures(base)
		known(t, r, half, set)
		var size int64
		for _, f := range files(t, r.Cache) {
			st, err := os.Stat(f)
			if err != nil {
				t.Fatal(err)
			}
			size += st.Size()
		}
		if n, _ := known(t, r, base, set); n != 0 {
			t.Errorf("%s: %d known of the plain base", name, n)
		}
		if n, _ := known(t, r, half, set); n != len(sizes) {
			t.Errorf("%s: %d known, want %d", name, n, len(sizes))
		}
		within(t, r, half, set, func(ctx *step.Context, base step.Ref, m model.Model, r *data.Reader) error {
			got, err := look(ctx, base, m, r, "Describe.", 2)
			if err != nil {
				return err
			}
			rows := 0
			for _, s := range got.samples {
				rows += s.Rows
			}
			want := int64(0)
			for _, s := range got.samples {
				want += features.Size(m.Info(), s.Rows)
			}
			if size != want || want != int64(len(sizes)*64+2*rows*m.Info().VisionHidden) {
				t.Errorf("%s: %d bytes on disk, planned %d", name, size, want)
			}
			full, err := plain(m, r, "Describe.")
			if err != nil {
				return err
			}
			if !slices.Equal(ops.Floats(m.Hidden(&model.Batch{Samples: full.samples})), hidden(m, got)) {
				t.Errorf("%s: the decoder's own features are others", name)
			}
			return nil
		})
		var exact, rounded []float32
		for into, sys := range map[*[]float32]model.Systems{&exact: base, &rounded: half} {
			within(t, r, sys, set, func(ctx *step.Context, base step.Ref, m model.Model, r *data.Reader) error {
				x, err := look(ctx, base, m, r, "Describe.", 2)
				*into = x.rows
				return err
			})
		}
		same := 0
		for i, v := range exact {
			if rounded[i] == v {
				same++
			}
			if d := math.Abs(float64(rounded[i]) - float64(v)); d > math.Abs(float64(v))/256 || math.Float32bits(rounded[i])&0xffff != 0 {
				t.Fatalf("%s: %g rounded to %g", name, v, rounded[i])
			}
		}
		if same > len(exact)/10 {
			t.Errorf("%s: %d of %d numbers are not rounded", name, same, len(exact))
		}
	}
}
