package score

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"lightbox/runtime/step"
)

// keptPairs are outcomes of pairs that runs share: of an interrupted one, and of those over the same references with other
// systems. Outcomes are kept and not embeddings: a pair takes 32 bytes where its embeddings would take 300 kB, 30 GB for
// ten systems on a test set, and what is encoded again beside a new system are the references alone.
//
// A file holds the pairs of a chunk, 32 bytes each: 16 of the SHA-256 of the pair's token ids, then precision and recall as
// float64, little-endian. It is named by the SHA-256 of its content, so that a damaged one is passed over.
type keptPairs struct {
	dir  string
	ids  [][]int32
	have map[[16]byte]matched
}

const pairBytes = 32

// keep opens what is kept for these weights, layer and idf.
func (b bertscore) keep(ctx *step.Context, path string, c *cutter, m *matcher) (*keptPairs, error) {
	files, err := b.files(path)
	if err != nil {
		return nil, err
	}
	key := sha256.New()
	fmt.Fprintf(key, "bertscore 1\nlayer %d\nspace %v\n", m.layer, c.space)
	for _, f := range files {
		digest, err := ctx.Digest(f)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(key, "%s %s\n", filepath.Base(f), digest)
	}
	weights := map[int32]float64{}
	for _, ids := range m.ids {
		for _, id := range ids {
			weights[id] = 0
		}
	}
	unseen := m.weigh(-1)
	fmt.Fprintf(key, "unseen %x\n", math.Float64bits(unseen))
	for _, id := range slices.Sorted(maps.Keys(weights)) {
		if w := m.weigh(id); w != unseen { // those of captions alone are no part of the key
			fmt.Fprintf(key, "%d %x\n", id, math.Float64bits(w))
		}
	}
	dir, err := ctx.Cache("bertscore pairs " + hex.EncodeToString(key.Sum(nil)))
	if err != nil {
		return nil, err
	}
	k := &keptPairs{dir: dir, ids: m.ids, have: map[[16]byte]matched{}}
	return k, k.read()
}

func (k *keptPairs) read() error {
	names, err := filepath.Glob(filepath.Join(k.dir, "*.pairs"))
	if err != nil {
		return err
	}
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if pairsName(raw) != filepath.Base(name) {
			continue
		}
		for rec := range slices.Chunk(raw, pairBytes) {
			k.have[[16]byte(rec)] = matched{math.Float64frombits(binary.LittleEndian.Uint64(rec[16:])), math.Float64frombits(binary.LittleEndian.Uint64(rec[24:]))}
		}
	}
	return nil
}

func pairsName(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16]) + ".pairs"
}

// name is a pair's tokens.
func (k *keptPairs) name(p pair) [16]byte {
	var b []byte
	for _, t := range []int{p.ref, p.cap} {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(k.ids[t])))
		for _, id := range k.ids[t] {
			b = binary.LittleEndian.AppendUint32(b, uint32(id))
		}
	}
	sum := sha256.Sum256(b)
	return [16]byte(sum[:])
}

func (k *keptPairs) find(p pair) (matched, bool) {
	if k == nil || len(k.have) == 0 {
		return matched{}, false
	}
	v, ok := k.have[k.name(p)]
	return v, ok
}

// add keeps the outcomes of some pairs. That it fails costs time alone, later.
func (k *keptPairs) add(pairs []pair, which []int, out []matched) {
	if k == nil {
		return
	}
	var raw []byte
	for _, i := range which {
		name := k.name(pairs[i])
		raw = append(raw, name[:]...)
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(out[i].p))
		raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(out[i].r))
	}
	_ = step.WriteShared(k.dir, filepath.Join(k.dir, pairsName(raw)), func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
}
