package concepts

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// The files of UMLS's Rich Release Format that hold names and semantic types.
const (
	NamesFile = "MRCONSO.RRF"
	TypesFile = "MRSTY.RRF"
)

// RRFOptions say what of a release is read. The zero value reads what QuickUMLS's
// installer reads without flags: every English name, as it is written.
type RRFOptions struct {
	Language         string // LAT, "ENG" when empty
	Lowercase        bool   // the installer's -L
	NormalizeUnicode bool   // the installer's -U, see toASCII
	// DropSuppressed leaves out names that the release marks as suppressible
	// (SUPPRESS O, E or Y); the installer keeps them.
	DropSuppressed bool
	// Progress is told how many bytes of all were read; an error stops the reading.
	Progress func(done, total int64) error `key:"local"`
}

// maxErrors bounds the errors reported of one file.
const maxErrors = 20

// fieldsConso and fieldsSty are the fields of a line of the two files; every
// field is followed by a bar.
const (
	fieldsConso = 18
	fieldsSty   = 6
)

// ReadRRF reads a dictionary from the directory of a UMLS release. Lines are
// streamed: memory holds the names that are kept, about 500 bytes each while they
// are read and 170 afterwards (measured with 525,000). Every malformed line is an error
// that names file and line, the first 20 of a file; so is a name whose concept
// has no semantic type.
func ReadRRF(dir string, o RRFOptions) (*Dictionary, error) {
	if o.Language == "" {
		o.Language = "ENG"
	}
	title := fmt.Sprintf("UMLS %s, %s", NamesFile, o.Language)
	if o.DropSuppressed {
		title += " without suppressed names"
	}
	r := &rrf{opts: o, types: newTypeSets(), b: newBuilder(title, o.Lowercase, o.NormalizeUnicode)}
	names, types := filepath.Join(dir, NamesFile), filepath.Join(dir, TypesFile)
	for _, path := range []string{names, types} {
		st, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("UMLS dictionary: %w", err)
		}
		r.total += st.Size()
	}
	if err := r.file(types, fieldsSty, r.sty); err != nil {
		return nil, err
	}
	if err := r.file(names, fieldsConso, r.conso); err != nil {
		return nil, err
	}
	if r.b.d.names.len() == 0 {
		return nil, fmt.Errorf("%s holds no name in the language %q", names, o.Language)
	}
	return r.b.done(), nil
}

type rrf struct {
	opts        RRFOptions
	types       *typeSets
	b           *builder
	done, total int64
}

// file reads lines of at least n fields.
func (r *rrf) file(path string, n int, line func(f []string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	var errs []error
	more := 0
	fields := make([]string, 0, n+1)
	for number := 1; ; number++ {
		raw, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) && raw == "" {
			break
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("%s, line %d: %w", path, number, err)
		}
		r.done += int64(len(raw))
		if number%(1<<16) == 0 && r.opts.Progress != nil {
			if err := r.opts.Progress(r.done, r.total); err != nil {
				return err
			}
		}
		raw = strings.TrimRight(raw, "\r\n")
		fields = cutFields(fields[:0], raw)
		err = wellFormed(raw, len(fields), n)
		if err == nil {
			err = line(fields)
		}
		if err != nil {
			if len(errs) < maxErrors {
				errs = append(errs, fmt.Errorf("%s, line %d: %w", path, number, err))
			} else {
				more++
			}
		}
	}
	if more > 0 {
		errs = append(errs, fmt.Errorf("%s: and %d more lines like these", path, more))
	}
	return errors.Join(errs...)
}

func cutFields(dst []string, s string) []string {
	for {
		field, rest, ok := strings.Cut(s, "|")
		if !ok {
			return append(dst, field)
		}
		dst = append(dst, field)
		s = rest
	}
}

func wellFormed(raw string, got, want int) error {
	if got-1 != want {
		return fmt.Errorf("%d fields; want %d, each followed by a bar", got-1, want)
	}
	if !utf8.ValidString(raw) {
		return errors.New("not UTF-8")
	}
	return nil
}

func (r *rrf) sty(f []string) error {
	if !isCUI(f[0]) {
		return fmt.Errorf("concept %q; want C and seven digits", f[0])
	}
	if t := f[1]; len(t) != 4 || t[0] != 'T' || !allDigits(t[1:]) {
		return fmt.Errorf("semantic type %q; want T and three digits", t)
	}
	r.types.add(number(f[0]), f[1])
	return nil
}

// The fields of MRCONSO.RRF that are read.
const (
	consoCUI      = 0
	consoLAT      = 1
	consoISPREF   = 6
	consoSTR      = 14
	consoSUPPRESS = 16
)

func (r *rrf) conso(f []string) error {
	if !isCUI(f[consoCUI]) {
		return fmt.Errorf("concept %q; want C and seven digits", f[consoCUI])
	}
	if p := f[consoISPREF]; p != "Y" && p != "N" {
		return fmt.Errorf("ISPREF %q; want Y or N", p)
	}
	if f[consoLAT] != r.opts.Language || r.opts.DropSuppressed && f[consoSUPPRESS] != "N" {
		return nil
	}
	if strings.TrimFunc(f[consoSTR], isSpace) == "" {
		return errors.New("an empty name")
	}
	types := r.types.of(number(f[consoCUI]))
	if types == nil {
		return fmt.Errorf("concept %s has no semantic type in %s", f[consoCUI], TypesFile)
	}
	r.b.name(f[consoSTR], r.b.concept(f[consoCUI], types), f[consoISPREF] == "Y")
	return nil
}

// number is a CUI's digits.
func number(cui string) uint32 {
	n := uint32(0)
	for i := 1; i < len(cui); i++ {
		n = 10*n + uint32(cui[i]-'0')
	}
	return n
}

// typeSets maps concepts to their sets of semantic types, a number each.
type typeSets struct {
	byCUI map[uint32]int32
	sets  [][]string
	grow  map[string]int32 // a set and one more type, to the set of both
}

func newTypeSets() *typeSets {
	return &typeSets{byCUI: map[uint32]int32{}, sets: [][]string{nil}, grow: map[string]int32{}}
}

func (t *typeSets) add(cui uint32, typ string) {
	old := t.byCUI[cui]
	key := fmt.Sprint(old, typ)
	set, ok := t.grow[key]
	if !ok {
		set = int32(len(t.sets))
		t.sets = append(t.sets, append(append([]string(nil), t.sets[old]...), strings.Clone(typ)))
		t.grow[key] = set
	}
	t.byCUI[cui] = set
}

func (t *typeSets) of(cui uint32) []string { return t.sets[t.byCUI[cui]] }
