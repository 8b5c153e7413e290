package features

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/vision"
)

// version goes up whenever a file gives other pixels when it is decoded, or features are kept in another format. Other
// changes show by themselves: see key.
const version = 1

// Cache holds the features of one base model. A nil Cache holds nothing and keeps nothing. Its methods may be used by
// several goroutines.
type Cache struct {
	dir    string
	cols   int
	decode bool // images are decoded even where their features are known
	logf   func(format string, a ...any)

	mu           sync.Mutex
	room         int64 // bytes that may still be written; negative: no more
	found, saved int64
	bytes        int64 // written
}

// Open is the cache of m, which a step has opened on base. It is nil, and the log says why, where some adapter stands in m's
// vision tower, LIGHTBOX_FEATURES is "off", or the step has no cache. The only error is a LIGHTBOX_FEATURES that says
// neither. Close it.
//
// Adapters of a part of the rows (nn.Part), of which the caller lets none take part now, are in nobody's way but their own
// systems': what the other systems see is found and kept, and images are decoded in any case, for them.
func Open(ctx *step.Context, base step.Ref, m model.Model) (*Cache, error) {
	limit, err := limit(os.Getenv(Variable))
	if err != nil || limit == 0 {
		return nil, err
	}
	path, always := adapted(m)
	if always {
		ctx.Logf("image features: %s", refusal(path))
		return nil, nil
	}
	key, err := key(ctx, base, m)
	if err != nil {
		ctx.Logf("image features: not kept on disk: %v", err)
		return nil, nil
	}
	dir, err := ctx.Cache(key)
	if err != nil {
		ctx.Logf("image features: not kept on disk: %v", err)
		return nil, nil
	}
	c := &Cache{dir: dir, cols: m.Info().VisionHidden, decode: path != "", logf: ctx.Logf}
	c.sweep()
	c.room = budget(dir, limit)
	return c, nil
}

// Adapted is the path of the first layer of m's vision tower on which an adapter stands, "" where none does.
func Adapted(m model.Model) string {
	path, _ := adapted(m)
	return path
}

// adapted tells also whether some adapter sees all rows.
func adapted(m model.Model) (first string, always bool) {
	for _, s := range m.Slots() {
		if s.Tower != model.Vision || len(s.Linear.Adapters) == 0 {
			continue
		}
		if first == "" {
			first = s.Path
		}
		if slices.ContainsFunc(s.Linear.Adapters, func(a *nn.LoRA) bool { return a.Part == nil }) {
			return first, true
		}
	}
	return first, false
}

func refusal(path string) string {
	return fmt.Sprintf("not kept on disk: an adapter stands in the vision tower (first: %s)", path)
}

// key names all that the features of an image depend on: the numbers in the tower, in the form in which they are held; the
// configuration and the image settings; where they are computed; and the code, by what it makes of a drawn image: after a
// change of an image processor, a tower or a kernel that changes bits, nothing that was kept before is found. Captions, prompts
// and the language model are not in it, so that two bases that differ in their language models alone share their features
// where their configurations agree.
func key(ctx *step.Context, base step.Ref, m model.Model) (string, error) {
	info := m.Info()
	h := sha256.New()
	settings, err := json.Marshal(info.Preprocessing)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "%s %d %s\n", info.Family, info.VisionHidden, settings)
	dir := models.Dir(ctx, base)
	for _, name := range []string{"config.json", "preprocessor_config.json", "processor_config.json"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		fmt.Fprintf(h, "%s %x\n", name, sha256.Sum256(raw))
	}
	for _, p := range append(m.Params(), m.Buffers()...) {
		if p.Tower != model.Vision {
			continue
		}
		for _, t := range p.T().Parts() {
			fmt.Fprintf(h, "%s %s\n", p.Name, t)
			eachPart(t, func(raw []byte) { h.Write(raw) })
		}
	}
	dev := ops.From(ctx)
	where := dev.Name()
	if dev == ops.CPU() {
		where += " " + ops.PathName()
	}
	name := fmt.Sprintf("image features %d %s %x, %s", version, info.Family, h.Sum(nil), where)
	seen, err := ctx.Once(name, func() (any, error) { return drawn(m) })
	if err != nil {
		return "", err
	}
	return name + ", " + seen.(string), nil
}

// drawn is a digest of what m sees in a drawn image.
func drawn(m model.Model) (string, error) {
	im := vision.New(200, 150)
	for i := range im.Pix {
		im.Pix[i] = byte(i*i/7 + i/50)
	}
	s, err := m.Encode(model.Input{Image: im, Prompt: "?"})
	if err != nil {
		return "", err
	}
	tape := tensor.NewScratch()
	defer tape.Release()
	sum := sha256.Sum256(ops.Bytes(m.Vision([]*model.Sample{s}, tape)))
	return hex.EncodeToString(sum[:16]), nil
}

// eachPart gives f the bytes of a tensor, a few at a time.
func eachPart(t *tensor.Tensor, f func(raw []byte)) {
	if t.Rank() == 0 || t.DType().Quantised() {
		f(ops.Bytes(t))
		return
	}
	per := max(1, 1<<18/max(1, t.Numel()/max(1, t.Dim(0))))
	for lo := 0; lo < t.Dim(0); lo += per {
		f(ops.Bytes(t.Rows(lo, min(lo+per, t.Dim(0)))))
	}
}

// Encode makes the sample of the i-th example of r by encode, which gets the example's image; nil of an example without one.
// An image whose features are known is not decoded: encode then gets one that tells its size alone (model.Input.Image). The
// Image tells what is known; it is nil where nothing is and nothing will be kept. Close it.
func (c *Cache) Encode(r *data.Reader, i int, encode func(*vision.Image) (*model.Sample, error)) (*model.Sample, *Image, error) {
	x := c.image(r.ImageKey(i))
	if c.open(x) {
		im := &vision.Image{W: x.w, H: x.h}
		if c.decode {
			var err error
			if im, err = r.Image(i); err != nil {
				return nil, nil, errors.Join(err, x.Close())
			}
		}
		s, err := encode(im)
		if err != nil {
			return nil, nil, errors.Join(err, x.Close())
		}
		if s.Rows == x.rows {
			c.count(&c.found)
			return s, x, nil
		}
		x.Close() // of another version
	}
	im, err := r.Image(i)
	if err != nil {
		return nil, nil, err
	}
	s, err := encode(im)
	if err != nil || im == nil {
		return s, nil, err
	}
	if x != nil {
		x.w, x.h, x.rows = im.W, im.H, s.Rows
	}
	return s, x, nil
}

// image is that of a key, nil of "".
func (c *Cache) image(key string) *Image {
	if c == nil || key == "" {
		return nil
	}
	sum := sha256.Sum256([]byte(key))
	name := hex.EncodeToString(sum[:])
	return &Image{cache: c, path: filepath.Join(c.dir, name[:2], name[2:])}
}

func (c *Cache) count(n *int64) {
	c.mu.Lock()
	*n++
	c.mu.Unlock()
}

// stop ends the writing.
func (c *Cache) stop(why string, a ...any) {
	if c.room >= 0 {
		c.room = -1
		c.logf("image features: no more are kept on disk: %s", fmt.Sprintf(why, a...))
	}
}

// sweep removes what writers that were killed have left.
func (c *Cache) sweep() {
	left, _ := filepath.Glob(filepath.Join(c.dir, step.Unfinished+"*"))
	for _, name := range left {
		if st, err := os.Stat(name); err == nil && time.Since(st.ModTime()) > time.Hour {
			os.Remove(name)
		}
	}
}

// Close says in the log what was found and what was written.
func (c *Cache) Close() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logf("image features: %d found on disk, %d computed and kept (%s)", c.found, c.saved, sizeText(c.bytes))
}
