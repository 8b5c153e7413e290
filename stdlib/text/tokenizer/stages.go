package tokenizer

import (
	"errors"
	"slices"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

func readNormalizer(n node) (normalizer, error) {
	kind, err := n.kind()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		list, err := n.list("normalizers")
		if err != nil {
			return nil, err
		}
		var all normalizers
		for _, c := range list {
			s, err := readNormalizer(c)
			if err != nil {
				return nil, err
			}
			all = append(all, s)
		}
		return all, nil
	case "Prepend":
		s, err := need[string](n, "prepend", "a string")
		return prependText(s), err
	case "Replace":
		return readReplace(n)
	case "NFC":
		return unicodeForm(norm.NFC), nil
	case "NFD":
		return unicodeForm(norm.NFD), nil
	case "NFKC":
		return unicodeForm(norm.NFKC), nil
	case "NFKD":
		return unicodeForm(norm.NFKD), nil
	case "Lowercase":
		return lowercase{}, nil
	case "Strip":
		left, err1 := get(n, "strip_left", true, "true or false")
		right, err2 := get(n, "strip_right", true, "true or false")
		return stripSpace{left, right}, errors.Join(err1, err2)
	case "StripAccents":
		return stripAccents{}, nil
	case "Nmt":
		return nmt{}, nil
	case "ByteLevel":
		return byteChars{}, nil
	case "BertNormalizer":
		return readBertNormalizer(n)
	case "Precompiled":
		return readPrecompiled(n)
	}
	return nil, n.unknownKind(kind, "Sequence", "Prepend", "Replace", "NFC", "NFD", "NFKC", "NFKD", "Lowercase",
		"Strip", "StripAccents", "Nmt", "ByteLevel", "BertNormalizer", "Precompiled")
}

func readReplace(n node) (replaceText, error) {
	m, err := n.pattern("pattern")
	if err != nil {
		return replaceText{}, err
	}
	content, err := need[string](n, "content", "a string")
	return replaceText{m, content}, err
}

func readBertNormalizer(n node) (normalizer, error) {
	var errs [4]error
	var b bertText
	b.clean, errs[0] = get(n, "clean_text", true, "true or false")
	b.chinese, errs[1] = get(n, "handle_chinese_chars", true, "true or false")
	b.lower, errs[2] = get(n, "lowercase", true, "true or false")
	b.accents, errs[3] = get(n, "strip_accents", b.lower, "true, false or null")
	return b, errors.Join(errs[:]...)
}

// readPre appends the pre-tokenizers of n to out, sequences laid flat.
func readPre(n node, out []pretokenizer) ([]pretokenizer, error) {
	kind, err := n.kind()
	if err != nil {
		return nil, err
	}
	var p pretokenizer
	switch kind {
	case "Sequence":
		list, err := n.list("pretokenizers")
		for _, c := range list {
			if out, err = readPre(c, out); err != nil {
				return nil, err
			}
		}
		return out, err
	case "ByteLevel":
		p, err = readByteLevel(n)
	case "Metaspace":
		p, err = readMetaspace(n)
	case "Split":
		p, err = readSplit(n)
	case "Digits":
		var single bool
		single, err = get(n, "individual_digits", false, "true or false")
		b := contiguous
		if single {
			b = isolated
		}
		p = splitter{class(isNumeric), b}
	case "Whitespace":
		p = splitter{inverted{wordRuns{}}, removed}
	case "WhitespaceSplit":
		p = splitter{class(unicode.IsSpace), removed}
	case "Punctuation":
		b := isolated
		if _, ok := n.fields["behavior"]; ok {
			b, err = n.behavior("behavior")
		}
		p = splitter{class(isPunctuation), b}
	case "BertPreTokenizer":
		out = append(out, splitter{class(unicode.IsSpace), removed})
		p = splitter{class(isPunctuation), isolated}
	case "CharDelimiterSplit":
		var r rune
		r, err = n.one("delimiter")
		p = splitter{literal(string(r)), removed}
	case "FixedLength":
		var k int
		if k, err = get(n, "length", 5, "a number"); err == nil && k < 1 {
			err = n.errorf("length", "want at least 1, got %d", k)
		}
		p = fixedLength(k)
	default:
		err = n.unknownKind(kind, "Sequence", "ByteLevel", "Metaspace", "Split", "Digits", "Whitespace", "WhitespaceSplit",
			"Punctuation", "BertPreTokenizer", "CharDelimiterSplit", "FixedLength")
	}
	return append(out, p), err
}

func readByteLevel(n node) (byteLevel, error) {
	var errs [3]error
	var b byteLevel
	var cut bool
	b.prefixSpace, errs[0] = get(n, "add_prefix_space", true, "true or false")
	b.trimOffsets, errs[1] = get(n, "trim_offsets", true, "true or false")
	cut, errs[2] = get(n, "use_regex", true, "true or false")
	if cut {
		b.m = words{}
	}
	return b, errors.Join(errs[:]...)
}

func readMetaspace(n node) (metaspace, error) {
	mark, err := n.one("replacement")
	if err != nil {
		return metaspace{}, err
	}
	m := metaspace{mark: string(mark)}
	if m.split, err = get(n, "split", true, "true or false"); err != nil {
		return m, err
	}
	if m.scheme, err = get(n, "prepend_scheme", "always", "a string"); err != nil {
		return m, err
	}
	if schemes := []string{"always", "first", "never"}; !slices.Contains(schemes, m.scheme) {
		return m, n.errorf("prepend_scheme", "%q is not one of %q%s", m.scheme, schemes, hint(m.scheme, schemes))
	}
	prefix, err := get(n, "add_prefix_space", true, "true or false")
	if err == nil && !prefix {
		if _, ok := n.fields["prepend_scheme"]; ok && m.scheme != "never" {
			err = n.errorf("add_prefix_space", "false, but prepend_scheme is %q", m.scheme)
		}
		m.scheme = "never"
	}
	return m, err
}

func readSplit(n node) (splitter, error) {
	m, err := n.pattern("pattern")
	if err != nil {
		return splitter{}, err
	}
	b, err := n.behavior("behavior")
	if err != nil {
		return splitter{}, err
	}
	invert, err := get(n, "invert", false, "true or false")
	if invert {
		m = inverted{m}
	}
	return splitter{m, b}, err
}

// readDecoder appends the decoders of n to out, sequences laid flat.
func readDecoder(n node, out decoders) (decoders, error) {
	kind, err := n.kind()
	if err != nil {
		return nil, err
	}
	var d decoder
	switch kind {
	case "Sequence":
		list, err := n.list("decoders")
		for _, c := range list {
			if out, err = readDecoder(c, out); err != nil {
				return nil, err
			}
		}
		return out, err
	case "ByteLevel":
		d = byteLevel{}
	case "ByteFallback":
		d = byteFallback{}
	case "Fuse":
		d = fuse{}
	case "Replace":
		var r replaceText
		r, err = readReplace(n)
		d = replaceToken(r)
	case "Strip":
		d, err = readStrip(n)
	case "Metaspace":
		var m metaspace
		m, err = readMetaspace(n)
		mark, _ := n.one("replacement")
		d = metaspaceDecoder{mark, m.scheme != "never"}
	case "WordPiece":
		prefix, err1 := get(n, "prefix", "##", "a string")
		cleanup, err2 := get(n, "cleanup", true, "true or false")
		d, err = wordPieceDecoder{prefix, cleanup}, errors.Join(err1, err2)
	case "BPEDecoder":
		var s string
		s, err = get(n, "suffix", "</w>", "a string")
		d = suffixDecoder(s)
	default:
		err = n.unknownKind(kind, "Sequence", "ByteLevel", "ByteFallback", "Fuse", "Replace", "Strip", "Metaspace", "WordPiece", "BPEDecoder")
	}
	return append(out, d), err
}

func readStrip(n node) (stripToken, error) {
	content, err := n.one("content")
	if err != nil {
		return stripToken{}, err
	}
	start, err1 := get(n, "start", 0, "a number")
	stop, err2 := get(n, "stop", 0, "a number")
	return stripToken{content, start, stop}, errors.Join(err1, err2)
}
