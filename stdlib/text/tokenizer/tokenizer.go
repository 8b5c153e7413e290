package tokenizer

import (
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Tokenizer is a loaded tokenizer.json. It is safe for concurrent use.
type Tokenizer struct {
	path       string
	model      model
	vocab      map[string]int32
	names      []string // by id; "" where the id is not used
	added      []Added  // by id, ascending
	addedByID  map[int32]Added
	addedByKey map[string]int32
	visible    map[int32]string // the strings that Decode uses for normalised added tokens
	early      *finder          // added tokens matched before normalisation
	late       *finder          // and after it
	norm       normalizer       // nil for none
	pre        []pretokenizer
	post       []postprocessor
	decoder    decoders
	sp         *spDecoder // decodes instead, for a SentencePiece model
	anyDecoder bool       // false: tokens are joined by spaces
	special    map[string]string
	needsAlign bool // a stage asks where in the original a piece begins
	pool       sync.Pool
}

// Encoding is a tokenised text.
type Encoding struct {
	IDs     []int32
	Offsets [][2]int // for each token the bytes [lo, hi) of the text it stands for; 0, 0 for those added around it
	Special []bool   // true for the tokens that the post-processor put around the text
	Types   []int32  // segment of each token: 0, or what the post-processor's template says
}

// Encode is the ids of text. With addSpecial the post-processor puts its tokens (such as BOS) around
// it; special tokens that stand in the text are found either way. Bytes that are not UTF-8 count
// as U+FFFD.
func (t *Tokenizer) Encode(text string, addSpecial bool) []int32 {
	e := t.encode(text, addSpecial, false)
	return e.IDs
}

// EncodeFull is Encode with offsets, special mask and segments.
func (t *Tokenizer) EncodeFull(text string, addSpecial bool) Encoding {
	return t.encode(text, addSpecial, true)
}

func (t *Tokenizer) encode(text string, addSpecial, full bool) Encoding {
	e := t.sequence(text, full)
	for _, p := range t.post {
		e = p.process(e, addSpecial)
	}
	return e.Encoding
}

// sequence is an Encoding under way: with the tokens' texts, which offset trimming looks at.
type sequence struct {
	Encoding
	text  string   // what was encoded
	texts []string // of the tokens; only in a full encoding
}

// sequence encodes text without a post-processor.
func (t *Tokenizer) sequence(text string, full bool) sequence {
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	s := t.pool.Get().(*scratch)
	defer t.pool.Put(s)
	t.pieces(text, full || t.needsAlign, s)
	out := sequence{text: text}
	if !full {
		out.IDs = make([]int32, 0, len(text)/3+4)
	}
	var buf [64]token
	for i := range s.pieces {
		p := &s.pieces[i]
		if p.id >= 0 {
			out.IDs = append(out.IDs, p.id)
			if full {
				out.add(p.original(0, len(p.text)), p.text)
			}
			continue
		}
		toks := t.model.tokens(p.text, s, buf[:0])
		at := 0
		for _, k := range toks {
			out.IDs = append(out.IDs, k.id)
			if full {
				out.add(p.original(at, at+int(max(k.n, -k.n))), t.names[k.id])
			}
			at += int(max(k.n, 0))
		}
	}
	clear(s.pieces) // let go of the text
	clear(s.more)
	return out
}

func (q *sequence) add(at span, text string) {
	q.Offsets = append(q.Offsets, [2]int{int(at.lo), int(at.hi)})
	q.Special = append(q.Special, false)
	q.Types = append(q.Types, 0)
	q.texts = append(q.texts, text)
}

// pieces leaves in s.pieces what the model and the added tokens make of text.
func (t *Tokenizer) pieces(text string, track bool, s *scratch) {
	s.pieces = t.early.split(whole(text, track), t.added, s.pieces[:0])
	s.more = s.more[:0]
	for _, p := range s.pieces {
		if p.id < 0 {
			if t.norm != nil {
				t.norm.normalize(&p)
			}
			s.more = t.late.split(p, t.added, s.more)
		} else {
			s.more = append(s.more, p)
		}
	}
	s.pieces, s.more = s.more, s.pieces
	for _, pre := range t.pre {
		s.more = s.more[:0]
		for _, p := range s.pieces {
			if p.id < 0 {
				s.more = pre.cut(p, s.more)
			} else {
				s.more = append(s.more, p)
			}
		}
		s.pieces, s.more = s.more, s.pieces
	}
}

// Decode is the text of ids; ids that no token has are left out. With skipSpecial so are special tokens.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	if t.sp != nil {
		return t.sp.decode(t, ids, skipSpecial)
	}
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		text, ok := t.visible[id]
		if !ok {
			if text, ok = t.token(id); !ok {
				continue
			}
		}
		if a, ok := t.addedByID[t.addedID(text)]; skipSpecial && ok && a.Special {
			continue
		}
		tokens = append(tokens, text)
	}
	if !t.anyDecoder {
		return strings.Join(tokens, " ")
	}
	return strings.Join(t.decoder.decode(tokens), "")
}

func (t *Tokenizer) addedID(text string) int32 {
	if id, ok := t.addedByKey[text]; ok {
		return id
	}
	return -1
}

func (t *Tokenizer) token(id int32) (string, bool) {
	if a, ok := t.addedByID[id]; ok {
		return a.Content, true
	}
	if id < 0 || int(id) >= len(t.names) || t.names[id] == "" {
		return "", false
	}
	return t.names[id], true
}

// TokenString is the token of an id as the vocabulary spells it ("▁the", "Ġthe"), or "" if there is none.
func (t *Tokenizer) TokenString(id int32) string {
	s, _ := t.token(id)
	return s
}

// ID is the id of a token as the vocabulary spells it.
func (t *Tokenizer) ID(token string) (int32, bool) {
	if id, ok := t.addedByKey[token]; ok {
		return id, true
	}
	id, ok := t.vocab[token]
	return id, ok
}

// VocabSize is the number of tokens, added ones included. Ids need not be dense: see MaxID.
func (t *Tokenizer) VocabSize() int {
	n := len(t.vocab)
	for _, a := range t.added {
		if _, ok := t.vocab[a.Content]; !ok {
			n++
		}
	}
	return n
}

// MaxID is the greatest id of a token: an embedding needs MaxID+1 rows.
func (t *Tokenizer) MaxID() int32 {
	n := int32(len(t.names)) - 1
	if len(t.added) > 0 {
		n = max(n, t.added[len(t.added)-1].ID)
	}
	return n
}

// Added is the added tokens by ascending id.
func (t *Tokenizer) Added() []Added { return slices.Clone(t.added) }

// IsSpecial says whether Decode leaves the id out on request.
func (t *Tokenizer) IsSpecial(id int32) bool { return t.addedByID[id].Special }

// Special is the id of a token by its role in tokenizer_config.json or special_tokens_map.json:
// "bos_token", "eos_token", "pad_token", "unk_token", "image_token" and the like.
func (t *Tokenizer) Special(role string) (int32, bool) {
	s, ok := t.special[role]
	if !ok {
		return -1, false
	}
	return t.ID(s)
}

// SpecialTokens is the roles of tokenizer_config.json and special_tokens_map.json and their tokens, as
// chat templates want them ("bos_token": "<s>").
func (t *Tokenizer) SpecialTokens() map[string]string {
	out := make(map[string]string, len(t.special))
	for k, v := range t.special {
		out[k] = v
	}
	return out
}

// Path is the file the tokenizer was read from.
func (t *Tokenizer) Path() string { return t.path }
