package score

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/score/encoders"
	"lightbox/stdlib/text/tokenizer"
	"lightbox/stdlib/torchfile"
)

// alignFiles is where the parts of an AlignScore checkpoint lie.
type alignFiles struct {
	ckpt      string
	tokenizer string // its directory, in which a config.json may lie
	all       []string
}

// robertaTokenizers are the files of which a directory needs one set.
var robertaTokenizers = [][]string{{"tokenizer.json"}, {"vocab.json", "merges.txt"}}

// locate finds the .ckpt at path and its tokenizer. In a rehearsal all lies at path.
func (a alignscore) locate(path string, rehearse bool) (f alignFiles, err error) {
	if f.ckpt, err = a.findCkpt(path); err != nil {
		return f, err
	}
	if f.tokenizer, err = a.findTokenizer(filepath.Dir(f.ckpt), rehearse); err != nil {
		return f, err
	}
	tok, err := checkpoint.AnyOf(f.tokenizer, "RoBERTa's tokenizer", robertaTokenizers)
	f.all = append([]string{f.ckpt}, tok...)
	f.all = append(f.all, checkpoint.Present(f.tokenizer, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json")...)
	return f, err
}

func (a alignscore) findCkpt(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("AlignScore's checkpoint: %w", err)
	}
	if !info.IsDir() {
		return path, nil
	}
	name := a.Opts.File
	if name == "" {
		name = alignFile
	}
	file := filepath.Join(path, name)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	there, err := filepath.Glob(filepath.Join(escapeGlob(path), "*.ckpt"))
	if err != nil {
		return "", err
	}
	if a.Opts.File == "" && len(there) == 1 {
		return there[0], nil
	}
	for i := range there {
		there[i] = filepath.Base(there[i])
	}
	if len(there) > 0 {
		return "", fmt.Errorf("AlignScore's checkpoint %s lacks %s; it has %s, which File in AlignScoreOptions can name", path, name, strings.Join(there, ", "))
	}
	return "", fmt.Errorf("AlignScore's checkpoint %s lacks %s (and has no other .ckpt)", path, name)
}

// escapeGlob makes a path a pattern of itself.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// robertas are repositories with RoBERTa's tokenizer, which is one and the same.
var robertas = []string{"FacebookAI/roberta-base", "FacebookAI/roberta-large", "roberta-base", "roberta-large"}

// findTokenizer gives the directory of the tokenizer for a .ckpt in dir.
func (a alignscore) findTokenizer(dir string, rehearse bool) (string, error) {
	if a.Opts.Tokenizer != "" && !rehearse {
		found, err := checkpoint.Find(a.Opts.Tokenizer)
		if err != nil {
			return "", fmt.Errorf("AlignScore's tokenizer: %w", err)
		}
		return found.Path, nil
	}
	if _, err := checkpoint.AnyOf(dir, "", robertaTokenizers); err == nil {
		return dir, nil
	}
	for _, repo := range robertas {
		found, err := checkpoint.FindRepository(repo)
		if err != nil {
			continue
		}
		if _, err := checkpoint.AnyOf(found.Path, "", robertaTokenizers); err == nil {
			return found.Path, nil
		}
	}
	return "", fmt.Errorf("AlignScore needs RoBERTa's tokenizer, which a .ckpt does not hold: put roberta-base's tokenizer.json (or vocab.json and merges.txt) "+
		"into %s, or fetch it into the Hugging Face cache with: hf download %s tokenizer.json, or name its directory as Tokenizer in AlignScoreOptions", dir, robertas[0])
}

// alignModel is an open checkpoint.
type alignModel struct {
	e          *encoders.Encoder
	tok        *tokenizer.Tokenizer
	begin, end int32
	close      func() error
}

func (a alignscore) open(ctx context.Context, path string, rehearse bool) (*alignModel, error) {
	f, err := a.locate(path, rehearse)
	if err != nil {
		return nil, err
	}
	m := &alignModel{}
	if m.tok, err = tokenizer.Load(f.tokenizer); err != nil {
		return nil, err
	}
	for name, id := range map[string]*int32{"<s>": &m.begin, "</s>": &m.end} {
		var ok bool
		if *id, ok = m.tok.ID(name); !ok {
			return nil, fmt.Errorf("%s: no token %s; AlignScore needs RoBERTa's tokenizer", m.tok.Path(), name)
		}
	}
	w, err := torchfile.Open(f.ckpt)
	if err != nil {
		return nil, err
	}
	m.close = w.Close
	if err := m.load(ctx, f, w); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return m, nil
}

func (m *alignModel) load(ctx context.Context, f alignFiles, w *safetensors.Archive) error {
	c, err := alignConfig(w, filepath.Join(f.tokenizer, "config.json"))
	if err != nil {
		return fmt.Errorf("%s: %w", f.ckpt, err)
	}
	if int(m.tok.MaxID()) >= c.VocabSize {
		return fmt.Errorf("%s: token id %d; %s has embeddings for %d: tokenizer of another model?", m.tok.Path(), m.tok.MaxID(), f.ckpt, c.VocabSize)
	}
	m.e, err = encoders.Load(ctx, alignSource(c, w))
	return err
}

func alignSource(c encoders.Config, w *safetensors.Archive) encoders.Source {
	return encoders.Source{Config: c, Weights: w, Prefix: "base_model.", Head: "tri_layer", Labels: 3, Ignore: []string{"mlm_head.", "bin_layer.", "reg_layer."}}
}

// alignConfig is the configuration of the RoBERTa in a .ckpt. The sizes are those of its tensors. The number of heads and
// what else tensors do not show are taken from the configuration file where one of the same sizes is there, else they are
// roberta-base's and -large's: heads of 64.
func alignConfig(w *safetensors.Archive, path string) (encoders.Config, error) {
	c, err := encoders.ParseConfig([]byte(`{"model_type":"roberta","max_position_embeddings":514,"type_vocab_size":1,"layer_norm_eps":1e-5}`))
	if err != nil {
		return c, err
	}
	size := func(name string, dim int) int {
		info, ok := w.Info("base_model." + name)
		if !ok || len(info.Shape) <= dim {
			err = errors.Join(err, fmt.Errorf("no tensor %q: no checkpoint of AlignScore", "base_model."+name))
			return 0
		}
		return info.Shape[dim]
	}
	c.VocabSize, c.HiddenSize = size("embeddings.word_embeddings.weight", 0), size("embeddings.word_embeddings.weight", 1)
	c.MaxPositionEmbeddings, c.TypeVocabSize = size("embeddings.position_embeddings.weight", 0), size("embeddings.token_type_embeddings.weight", 0)
	c.IntermediateSize = size("encoder.layer.0.intermediate.dense.weight", 0)
	if err != nil {
		return c, err
	}
	c.NumHiddenLayers = 0
	for {
		if _, ok := w.Info(fmt.Sprintf("base_model.encoder.layer.%d.output.dense.weight", c.NumHiddenLayers)); !ok {
			break
		}
		c.NumHiddenLayers++
	}
	if raw, err := os.ReadFile(path); err == nil {
		beside, err := encoders.ParseConfig(raw)
		if err == nil && sameSizes(beside, c) {
			return beside, nil
		}
	}
	if c.HiddenSize%64 != 0 {
		return c, fmt.Errorf("hidden size %d is no multiple of 64, the size of RoBERTa's heads; put the config.json of its RoBERTa beside the tokenizer", c.HiddenSize)
	}
	c.NumAttentionHeads = c.HiddenSize / 64
	return c, c.Check()
}

// sameSizes compares what tensors show of a configuration.
func sameSizes(a, b encoders.Config) bool {
	return a.ModelType == b.ModelType && a.VocabSize == b.VocabSize && a.HiddenSize == b.HiddenSize && a.IntermediateSize == b.IntermediateSize &&
		a.NumHiddenLayers == b.NumHiddenLayers && a.MaxPositionEmbeddings == b.MaxPositionEmbeddings && a.TypeVocabSize == b.TypeVocabSize
}

const (
	alignTokens = 512
	alignBatch  = 32 // pairs that AlignScore's code tokenises at once
)

// texts are the token ids of a pair's items, chunk by chunk: <s> chunk </s></s> sentence </s>. Chunks that are too long lose
// their ends. Where that does not help, the sentence being too long alone, the longer of both does: in all items that
// AlignScore's code tokenises together with that one.
func (m *alignModel) texts(p *alignPair) []encoders.Text {
	encode := func(all []string) [][]int32 {
		out := make([][]int32, len(all))
		for i, s := range all {
			out[i] = m.tok.Encode(s, false)
		}
		return out
	}
	chunks, claims := encode(p.chunks), encode(p.claims)
	most := min(alignTokens, m.e.Config.Longest()) - 4
	out := make([]encoders.Text, p.items())
	for lo := 0; lo < len(out); lo += alignBatch {
		hi := min(lo+alignBatch, len(out))
		cut := func(a, b, most int) (int, int) { return min(a, most-b), b }
		for i := lo; i < hi; i++ {
			a, b := len(chunks[i/len(claims)]), len(claims[i%len(claims)])
			if a+b > most && a <= a+b-most {
				cut = longestFirst
			}
		}
		for i := lo; i < hi; i++ {
			a, b := chunks[i/len(claims)], claims[i%len(claims)]
			n, k := cut(len(a), len(b), most)
			out[i].IDs = slices.Concat([]int32{m.begin}, a[:n], []int32{m.end, m.end}, b[:k], []int32{m.end})
		}
	}
	return out
}

// tiny implements network.
func (a alignscore) tiny(dir string) error {
	files, err := tokenizer.TrainBPE(slices.Values([]string{tinyText, tinyText}), tokenizer.TrainOptions{ByteLevel: true, VocabSize: 300, ModelMaxLength: alignTokens,
		Added: []string{"<s>", "<pad>", "</s>", "<unk>", "<mask>"}, Roles: [][2]string{{"bos_token", "<s>"}, {"cls_token", "<s>"}, {"eos_token", "</s>"}, {"sep_token", "</s>"},
			{"pad_token", "<pad>"}, {"unk_token", "<unk>"}, {"mask_token", "<mask>"}}})
	if err != nil {
		return err
	}
	tok, err := files.Load()
	if err != nil {
		return err
	}
	begin, _ := tok.ID("<s>")
	end, _ := tok.ID("</s>")
	pad, _ := tok.ID("<pad>")
	post := map[string]any{"type": "RobertaProcessing", "cls": []any{"<s>", begin}, "sep": []any{"</s>", end}, "trim_offsets": true, "add_prefix_space": false}
	if files.Tokenizer, err = withKey(files.Tokenizer, "post_processor", post); err != nil {
		return err
	}
	if files.Config, err = withKey(files.Config, "tokenizer_class", "RobertaTokenizer"); err != nil {
		return err
	}
	if err := files.Write(dir); err != nil {
		return err
	}
	raw, err := json.Marshal(map[string]any{"architectures": []string{"RobertaModel"}, "model_type": "roberta", "vocab_size": int(tok.MaxID()) + 1, "hidden_size": 32,
		"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "hidden_act": "gelu", "max_position_embeddings": alignTokens + int(pad) + 1,
		"type_vocab_size": 1, "layer_norm_eps": 1e-5, "pad_token_id": pad})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o644); err != nil {
		return err
	}
	c, err := encoders.ParseConfig(raw)
	if err != nil {
		return err
	}
	name := a.Opts.File
	if name == "" {
		name = alignFile
	}
	return writeTorch(filepath.Join(dir, name), drawn(alignSource(c, nil), 2), "state_dict")
}

// withKey gives an object of JSON one more key.
func withKey(raw []byte, key string, value any) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	fields[key] = text
	return json.Marshal(fields)
}
