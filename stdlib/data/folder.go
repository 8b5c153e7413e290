package data

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/text"
)

// folderTables are the names under which a folder's JSONL file is looked for; the first is Hugging Face's imagefolder.
var folderTables = []string{"metadata.jsonl", "captions.jsonl", "data.jsonl"}

// folderKeys gives each field of an Example the keys that a line may use for it.
var folderKeys = []struct {
	field string
	keys  []string
}{
	{"image", []string{"file_name", "image", "path"}},
	{"caption", []string{"caption", "text"}},
	{"id", []string{"id", "ID"}},
	{"split", []string{"split"}},
	{"modality", []string{"modality"}},
	{"prompt", []string{"prompt"}},
}

type folderParams struct {
	Dir     string `key:"local"`
	BadRows Policy
}

// Folder reads a plain folder: metadata.jsonl (or captions.jsonl, data.jsonl) with one object a line, such as
//
//	{"file_name": "a.png", "caption": "…", "split": "train", "modality": "CT"}
//
// file_name (or image, path) is relative to the folder. split is train where it is missing, id the file name without
// its ending. Further keys with text values become Example.Fields. Bad lines are reported together.
func Folder(dir string, policy ...Policy) Set {
	p := folderParams{Dir: dir}
	if len(policy) > 0 {
		p.BadRows = policy[0]
	}
	if step.Current().Rehearse {
		return standIn(folderOp, p, p.Dir, func(dir string) []error {
			_, err := folderTable(dir)
			if err != nil {
				return []error{err}
			}
			return nil
		})
	}
	return Set{step.New(folderOp, p)}
}

var folderOp = &step.Op{Name: "data.folder", Version: "2",
	Check: func(s step.Step) []error {
		dir := s.Params.(folderParams).Dir
		if err := checkDir(dir); err != nil {
			return []error{err}
		}
		if _, err := folderTable(dir); err != nil {
			return []error{err}
		}
		return nil
	},
	Files: func(s step.Step) ([]string, error) {
		root, err := filepath.Abs(s.Params.(folderParams).Dir)
		if err != nil {
			return nil, err
		}
		rd, err := readFolder(root)
		if err != nil {
			return nil, err
		}
		table, err := folderTable(root)
		if err != nil {
			return nil, err
		}
		files := []string{table}
		for _, ex := range rd.examples {
			files = append(files, ex.Image)
		}
		sort.Strings(files)
		return files, nil
	},
	Run: func(ctx *step.Context, dir string) error {
		p := ctx.Step().Params.(folderParams)
		root, err := filepath.Abs(p.Dir)
		if err != nil {
			return err
		}
		rd, err := readFolder(root)
		if err != nil {
			return err
		}
		if err := rd.decodeAll(ctx); err != nil {
			return err
		}
		meta := Meta{Source: "folder"}
		examples, err := rd.settle(p.BadRows, &meta)
		if err != nil {
			return err
		}
		meta.Warnings = repeated(examples)
		if err := portable(ctx, examples); err != nil {
			return err
		}
		return write(dir, meta, examples)
	}}

func folderTable(dir string) (string, error) {
	for _, name := range folderTables {
		if path := filepath.Join(dir, name); fileExists(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s holds none of %s", dir, strings.Join(folderTables, ", "))
}

func fileExists(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

// readFolder reads the table; it does not decode images.
func readFolder(root string) (*reading, error) {
	table, err := folderTable(root)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(table)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rd := &reading{root: root, seen: map[string]string{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		if raw := strings.TrimSpace(lines.Text()); raw != "" {
			rd.line(fmt.Sprintf("%s:%d", table, n), raw)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", table, err)
	}
	return rd, nil
}

func (rd *reading) line(place, raw string) {
	fail := func(id, why string, a ...any) { rd.bad = append(rd.bad, badRow{place, id, fmt.Sprintf(why, a...)}) }
	var object map[string]any
	if err := json.Unmarshal([]byte(raw), &object); err != nil {
		fail("", "not a JSON object: %v", err)
		return
	}
	fields := map[string]string{}
	used := map[string]bool{}
	for _, f := range folderKeys {
		for _, k := range f.keys {
			if v, ok := object[k].(string); ok && fields[f.field] == "" {
				fields[f.field], used[k] = v, true
			}
		}
	}
	if fields["image"] == "" {
		fail(fields["id"], "no key file_name%s", nearKey("file_name", object))
		return
	}
	if strings.TrimSpace(fields["caption"]) == "" {
		fail(fields["image"], "no key caption or text%s", nearKey("caption", object))
		return
	}
	ex := Example{ID: fields["id"], Split: fields["split"], Caption: fields["caption"], Modality: fields["modality"], Prompt: fields["prompt"]}
	ex.Image = filepath.Join(rd.root, filepath.FromSlash(fields["image"]))
	if ex.ID == "" {
		ex.ID = strings.TrimSuffix(fields["image"], filepath.Ext(fields["image"]))
	}
	if ex.Split == "" {
		ex.Split = "train"
	}
	if first, again := rd.seen[ex.Split+"/"+ex.ID]; again {
		fail(ex.ID, "ID appears before, at %s", first)
		return
	}
	rd.seen[ex.Split+"/"+ex.ID] = place
	if _, err := os.Stat(ex.Image); errors.Is(err, fs.ErrNotExist) {
		fail(ex.ID, "no image %s", ex.Image)
		return
	}
	for k, v := range object {
		if s, ok := v.(string); ok && !used[k] {
			if ex.Fields == nil {
				ex.Fields = map[string]string{}
			}
			ex.Fields[k] = s
		}
	}
	rd.examples = append(rd.examples, ex)
	rd.places = append(rd.places, place)
}

func nearKey(want string, object map[string]any) string {
	keys := make([]string, 0, len(object))
	for k := range object {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	if near, ok := text.Nearest(want, keys); ok {
		return fmt.Sprintf("; is %q meant?", near)
	}
	return ""
}

type imagesParams struct {
	Names []string // file names: the examples' IDs
	Paths []string `key:"local"`
}

// Images is a set of single image files without captions, all in the split "test". An example's ID is its file's name.
func Images(paths ...string) Set {
	p := imagesParams{Paths: paths}
	for _, path := range paths {
		p.Names = append(p.Names, filepath.Base(path))
	}
	return Set{step.New(imagesOp, p)}
}

var imagesOp = &step.Op{Name: "data.images", Version: "3",
	Check: func(s step.Step) []error {
		var errs []error
		paths := s.Params.(imagesParams).Paths
		if len(paths) == 0 {
			errs = append(errs, errors.New("no image named"))
		}
		seen := map[string]string{}
		for _, p := range paths {
			name := filepath.Base(p)
			if first, again := seen[name]; again {
				errs = append(errs, fmt.Errorf("images %s and %s have the same name, which would be the ID of both", first, p))
			}
			seen[name] = p
			if !fileExists(p) {
				errs = append(errs, fmt.Errorf("no image file %s%s", p, nearPath(p)))
			}
		}
		return errs
	},
	Files: func(s step.Step) ([]string, error) {
		var files []string
		for _, p := range s.Params.(imagesParams).Paths {
			abs, err := filepath.Abs(p)
			if err != nil {
				return nil, err
			}
			files = append(files, abs)
		}
		sort.Strings(files)
		return files, nil
	},
	Run: func(ctx *step.Context, dir string) error {
		rd := &reading{}
		for _, p := range ctx.Step().Params.(imagesParams).Paths {
			abs, err := filepath.Abs(p)
			if err != nil {
				return err
			}
			rd.examples = append(rd.examples, Example{ID: filepath.Base(p), Split: "test", Image: abs})
			rd.places = append(rd.places, p+":1")
		}
		if err := rd.decodeAll(ctx); err != nil {
			return err
		}
		meta := Meta{Source: "single images"}
		examples, err := rd.settle(RefuseBadRows, &meta)
		if err != nil {
			return err
		}
		if err := portable(ctx, examples); err != nil {
			return err
		}
		return write(dir, meta, examples)
	}}
