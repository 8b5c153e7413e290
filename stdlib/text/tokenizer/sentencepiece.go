package tokenizer

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// The kinds of pieces of a SentencePiece model.
const (
	pieceNormal = 1 + iota
	pieceUnknown
	pieceControl
	pieceUserDefined
	pieceUnused
	pieceByte
)

type spPiece struct {
	text  string
	score float32
	kind  uint64
}

// spModel is a .model file as it stands (sentencepiece_model.proto).
type spModel struct {
	pieces       []spPiece
	kind         uint64 // 1 unigram, 2 BPE, 3 words, 4 characters
	fallback     bool
	suffixSpaces bool
	unkSurface   string
	charsmap     []byte
	dummyPrefix  bool
	trimSpaces   bool // remove_extra_whitespaces
	escape       bool
}

// ParseSentencePiece reads a SentencePiece .model file (unigram or BPE); file names it in errors. The tokenizer encodes and
// decodes as the library sentencepiece 0.2 does: control symbols are not found in text, and nothing is put around it.
// Decode with skipSpecial false shows control symbols, which the library never does.
func ParseSentencePiece(file string, data []byte) (*Tokenizer, error) {
	m, err := readSPModel(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	t := newTokenizer(file)
	if err := t.useSentencePiece(m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

func readSPModel(data []byte) (*spModel, error) {
	m := &spModel{kind: 1, unkSurface: " \u2047 ", dummyPrefix: true, trimSpaces: true, escape: true}
	err := protoFields(data, func(f protoField) error {
		switch f.number {
		case 1:
			p, err := readSPPiece(f.bytes)
			m.pieces = append(m.pieces, p)
			return err
		case 2:
			return protoFields(f.bytes, func(f protoField) error {
				switch f.number {
				case 3:
					m.kind = f.value
				case 24:
					m.suffixSpaces = f.value != 0
				case 35:
					m.fallback = f.value != 0
				case 44:
					m.unkSurface = string(f.bytes)
				}
				return nil
			})
		case 3:
			return protoFields(f.bytes, func(f protoField) error {
				switch f.number {
				case 2:
					m.charsmap = f.bytes
				case 3:
					m.dummyPrefix = f.value != 0
				case 4:
					m.trimSpaces = f.value != 0
				case 5:
					m.escape = f.value != 0
				}
				return nil
			})
		case 5:
			return protoFields(f.bytes, func(f protoField) error {
				if f.number == 2 && len(f.bytes) > 0 {
					return fmt.Errorf("denormalizer_spec: a map for decoding is not supported")
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("no SentencePiece model: %w", err)
	}
	return m, m.check()
}

func readSPPiece(msg []byte) (spPiece, error) {
	p := spPiece{kind: pieceNormal}
	err := protoFields(msg, func(f protoField) error {
		switch f.number {
		case 1:
			p.text = string(f.bytes)
		case 2:
			p.score = math.Float32frombits(uint32(f.value))
		case 3:
			p.kind = f.value
		}
		return nil
	})
	if err == nil && (p.text == "" || !utf8.ValidString(p.text)) {
		err = fmt.Errorf("the piece %q is empty or not UTF-8", p.text)
	}
	if err == nil && p.score != p.score {
		err = fmt.Errorf("the piece %q has no number for a score", p.text)
	}
	return p, err
}

// check refuses what is not supported.
func (m *spModel) check() error {
	unknown := 0
	seen := map[string]bool{}
	for _, p := range m.pieces {
		switch {
		case p.kind == pieceUnknown:
			unknown++
		case p.kind < pieceNormal || p.kind > pieceByte:
			return fmt.Errorf("the piece %q has the unknown kind %d", p.text, p.kind)
		case p.kind == pieceUnused && m.kind == 2:
			return fmt.Errorf("the piece %q is unused, which is not supported in a BPE model", p.text)
		case p.kind == pieceByte:
			if _, ok := byteToken(p.text); !ok {
				return fmt.Errorf("the byte piece %q is not like <0x0A>", p.text)
			}
		}
		if seen[p.text] {
			return fmt.Errorf("the piece %q stands twice", p.text)
		}
		seen[p.text] = true
	}
	switch {
	case len(m.pieces) == 0:
		return fmt.Errorf("no SentencePiece model: it has no pieces")
	case unknown != 1:
		return fmt.Errorf("%d unknown pieces; want one", unknown)
	case m.kind != 1 && m.kind != 2:
		return fmt.Errorf("trainer_spec.model_type is %d; known: 1 (unigram), 2 (BPE)", m.kind)
	case m.suffixSpaces:
		return fmt.Errorf("trainer_spec.treat_whitespace_as_suffix is not supported")
	}
	return nil
}

// useSentencePiece makes the model, the normalizer and the decoder of t.
func (t *Tokenizer) useSentencePiece(m *spModel) error {
	t.vocab, t.names = make(map[string]int32, len(m.pieces)), make([]string, len(m.pieces))
	user := map[string]int32{}
	unk := int32(0)
	for i, p := range m.pieces {
		id := int32(i)
		t.vocab[p.text], t.names[i] = id, p.text
		switch p.kind {
		case pieceUnknown:
			unk = id
		case pieceUserDefined:
			user[p.text] = id
		}
	}
	n := &spNormalizer{dummyPrefix: m.dummyPrefix, trim: m.trimSpaces, space: mark}
	if !m.escape {
		n.space = " "
	}
	if len(user) > 0 {
		n.user = newPrefixTrie(user)
	}
	if len(m.charsmap) > 0 {
		var err error
		if n.m, err = readCharsmap(m.charsmap); err != nil {
			return fmt.Errorf("normalizer_spec.precompiled_charsmap: %w", err)
		}
	}
	t.norm = n
	var fallback *[256]int32
	if m.fallback {
		fallback = byteTokens(t.vocab)
		if slices.Contains(fallback[:], -1) {
			return fmt.Errorf("trainer_spec.byte_fallback is true, but not all bytes from <0x00> to <0xFF> are pieces")
		}
	}
	t.sp = &spDecoder{pieces: m.pieces, unkSurface: m.unkSurface, stripFirst: m.dummyPrefix || m.trimSpaces, stripAll: m.trimSpaces}
	if m.kind == 2 {
		t.model = newSPBPE(m.pieces, t.vocab, unk, fallback, n.user)
	} else {
		t.model = newSPUnigram(m.pieces, unk, fallback)
	}
	return nil
}
