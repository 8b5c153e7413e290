package tokenizer

import (
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// The Rust library's parts know different versions of Unicode: its regular expressions 16, its character
// methods 17, its normal forms 9 and its punctuation and marks 8, where Go 1.26 knows 15. The
// ranges below are the differences, found by asking both about every code point; the
// classes in testdata/unicode.json keep them true.
var (
	newLetters = ranges(`1c89-1c8a a7cb-a7cd a7da-a7dc 105c0-105f3 10d4a-10d65 10d6f-10d85 10ec2-10ec4 11380-11389 1138b
	1138e 11390-113b5 113b7 113d1 113d3 11bc0-11be0 13460-143fa 16100-1611d 16d40-16d6c 18cff
	1e5d0-1e5ed 1e5f0 2ebf0-2ee5d`)
	newNumbers = ranges(`10d40-10d49 116d0-116e3 11bf0-11bf9 16130-16139 16d70-16d79 1ccf0-1ccf9 1e5f1-1e5fa`)
	newDigits  = ranges(`11de0-11de9 16ff4-16ff6`) // besides newNumbers
	newWords   = ranges(`897 1c89-1c8a a7cb-a7cd a7da-a7dc 105c0-105f3 10d40-10d65 10d69-10d6d 10d6f-10d85 10ec2-10ec4 10efc
	11380-11389 1138b 1138e 11390-113b5 113b7-113c0 113c2 113c5 113c7-113ca 113cc-113d3 113e1-113e2
	116d0-116e3 11bc0-11be0 11bf0-11bf9 11f5a 13460-143fa 16100-16139 16d40-16d6c 16d70-16d79 18cff
	1ccf0-1ccf9 1e5d0-1e5fa 2ebf0-2ee5d`)
	oldPunctuation = ranges(`166d 111c9`)
	newPunctuation = ranges(`61d 9fd a76 c77 c84 1b7d-1b7e 2e43-2e4f 2e52-2e5d 10ead 10f55-10f59 10f86-10f89 1144b-1144f
	1145a-1145b 1145d 11660-1166c 116b9 1183b 11944-11946 119e2 11a3f-11a46 11a9a-11a9c 11a9e-11aa2
	11b00-11b09 11c41-11c45 11c70-11c71 11ef7-11ef8 11f43-11f4f 11fff 12ff1-12ff2 16e97-16e9a 16fe2
	1e95e-1e95f`)
	shownFormats = ranges(`890-891 8e2 110cd 13430-1343f`)                                                               // format characters that BERT's clean-up keeps
	frozen       = ranges(`32ff a7f2-a7f4 ab69 10781-10785 10787-107b0 107b2-107ba 11938 1e030-1e06d 1f16c 1fbf0-1fbf9`) // runes that normal forms leave alone
	newMarks     = ranges(`7fd 898-89f 8ca-8d3 9fe afa-aff b55 c04 c3c cf3 d00 d3b-d3c d81 eba ece 1715 180f 1abf-1ace
	1cf7 1df6-1dfa a82c a8ff 10d24-10d27 10eab-10eac 10efd-10eff 10f46-10f50 10f82-10f85 11070
	11073-11074 110c2 11145-11146 111c9 111ce-111cf 11241 1133b 1145e 1182c-1183a 11930-11935
	11937-11938 1193b-1193e 11940 11942-11943 119d1-119d7 119da-119e0 119e4 11a01-11a0a 11a33-11a39
	11a3b-11a3e 11a47 11a51-11a5b 11a8a-11a99 11d31-11d36 11d3a 11d3c-11d3d 11d3f-11d45 11d47
	11d8a-11d8e 11d90-11d91 11d93-11d97 11ef3-11ef6 11f00-11f01 11f03 11f34-11f3a 11f3e-11f42 13440
	13447-13455 16f4f 16f7f-16f87 16fe4 16ff0-16ff1 1cf00-1cf2d 1cf30-1cf46 1e08f 1e130-1e136 1e2ae
	1e2ec-1e2ef 1e4ec-1e4ef`)  // marks that StripAccents keeps
)

// newNonspacing are marks that BERT's normalizer keeps.
var newNonspacing = ranges(`7fd 898-89f 8ca-8e1 9fe afa-aff b55 c04 c3c d00 d3b-d3c d81 eba ece 180f 1885-1886 1abf-1ace
	1df6-1dfb a82c a8c5 a8ff a9bd 10d24-10d27 10eab-10eac 10efd-10eff 10f46-10f50 10f82-10f85 11070
	11073-11074 110c2 111c9 111cf 1123e 11241 1133b 11438-1143f 11442-11444 11446 1145e 1182f-11837
	11839-1183a 1193b-1193c 1193e 11943 119d4-119d7 119da-119db 119e0 11a01-11a0a 11a33-11a38
	11a3b-11a3e 11a47 11a51-11a56 11a59-11a5b 11a8a-11a96 11a98-11a99 11c30-11c36 11c38-11c3d 11c3f
	11c92-11ca7 11caa-11cb0 11cb2-11cb3 11cb5-11cb6 11d31-11d36 11d3a 11d3c-11d3d 11d3f-11d45 11d47
	11d90-11d91 11d95 11d97 11ef3-11ef4 11f00-11f01 11f36-11f3a 11f40 11f42 13440 13447-13455 16f4f
	16fe4 1cf00-1cf2d 1cf30-1cf46 1e000-1e006 1e008-1e018 1e01b-1e021 1e023-1e024 1e026-1e02a 1e08f
	1e130-1e136 1e2ae 1e2ec-1e2ef 1e4ec-1e4ef 1e944-1e94a`)

// isNonspacing are the marks that it drops: Unicode 8's category Mn.
func isNonspacing(r rune) bool {
	return unicode.Is(unicode.Mn, r) && !in(r, newNonspacing) || r == 0x1734
}

// ranges reads "lo-hi" and single code points in hexadecimal, ascending, when they are first wanted.
func ranges(s string) func() []rune {
	return sync.OnceValue(func() []rune {
		var out []rune
		for _, f := range strings.Fields(s) {
			lo, hi, ok := strings.Cut(f, "-")
			if !ok {
				hi = lo
			}
			for _, x := range [...]string{lo, hi} {
				r, _ := strconv.ParseUint(x, 16, 32) // the table is ours; the test reads all of it
				out = append(out, rune(r))
			}
		}
		return out
	})
}

func in(r rune, table func() []rune) bool {
	rs := table()
	if r < rs[0] {
		return false
	}
	i := sort.Search(len(rs), func(i int) bool { return rs[i] >= r }) // the first bound not below r
	return i < len(rs) && (i%2 == 1 || rs[i] == r)
}

// isLetter and isNumber are \p{L} and \p{N} of the Rust library's regular expressions.
func isLetter(r rune) bool { return unicode.IsLetter(r) || in(r, newLetters) }
func isNumber(r rune) bool { return unicode.IsNumber(r) || in(r, newNumbers) }

// isNumeric is Rust's char::is_numeric.
func isNumeric(r rune) bool { return isNumber(r) || in(r, newDigits) }

// isWord is \w of Rust's regex: letters, marks, decimal digits, connectors and joiners.
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.In(r, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic) ||
		r == 0x200c || r == 0x200d || in(r, newWords)
}

// isPunctuation is ASCII's and Unicode's punctuation, as of Unicode 8.
func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return r > ' ' && r < 0x7f && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}
	return unicode.IsPunct(r) && !in(r, newPunctuation) || in(r, oldPunctuation)
}

// toLower is Rust's char::to_lowercase but for İ, whose mapping has two runes.
func toLower(r rune) rune {
	switch {
	case r < 0x1c89:
		return unicode.ToLower(r)
	case r == 0x1c89, r == 0xa7cc, r == 0xa7ce, r == 0xa7d2, r == 0xa7d4, r == 0xa7da:
		return r + 1
	case r == 0xa7cb:
		return 0x264
	case r == 0xa7dc:
		return 0x19b
	case r >= 0x10d50 && r <= 0x10d65:
		return r + 0x20
	case r >= 0x16ea0 && r <= 0x16eb8:
		return r + 0x1b
	}
	return unicode.ToLower(r)
}
