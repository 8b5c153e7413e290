package data

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"lightbox/stdlib/text"
	"lightbox/stdlib/vision"
)

// The parquet edition of ROCOv2: {train,validation,test}-*.parquet in the folder or its data/, as Hugging Face's datasets
// library writes them, with the columns image (encoded bytes, or a struct with them), image_id, caption and, optionally,
// cui (a list; ["nan"] is empty). Images stay in the files and are decoded one by one.

func parquetCheck(files map[string][]string) []error {
	var errs []error
	for _, split := range splitNames {
		for _, name := range files[split] {
			if err := checkParquet(name); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errs
}

// parquetFiles lists the parquet files of each split in order of name; none where the folder holds captions tables.
func parquetFiles(root string) (map[string][]string, error) {
	for _, split := range splitNames {
		if fileExists(captionsFile(root, split)) {
			return nil, nil
		}
	}
	out := map[string][]string{}
	for prefix, split := range map[string]string{"train": "train", "validation": "valid", "valid": "valid", "test": "test"} {
		for _, sub := range []string{"", "data"} {
			names, err := filepath.Glob(filepath.Join(root, sub, prefix+"-*.parquet"))
			if err != nil {
				return nil, err
			}
			if single := filepath.Join(root, sub, prefix+".parquet"); fileExists(single) {
				names = append(names, single)
			}
			out[split] = append(out[split], names...)
		}
	}
	n := 0
	for _, split := range splitNames {
		sort.Strings(out[split])
		n += len(out[split])
	}
	if n == 0 {
		return nil, nil
	}
	return out, nil
}

// rows as they stand in the file, without the pixels.
type parquetRow struct {
	ImageID string   `parquet:"image_id"`
	Caption string   `parquet:"caption"`
	CUIs    []string `parquet:"cui,list"`
}

// the two forms of the image column
type (
	parquetBytes struct {
		Image []byte `parquet:"image"`
	}
	parquetStruct struct {
		Image struct {
			Bytes []byte `parquet:"bytes"`
		} `parquet:"image"`
	}
)

func openParquet(name string) (*os.File, *parquet.File, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	p, err := parquet.OpenFile(f, st.Size())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: not a readable parquet file: %w", name, err), f.Close())
	}
	return f, p, nil
}

// checkParquet reads the schema and says which columns are missing.
func checkParquet(name string) error {
	f, p, err := openParquet(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var have []string
	for _, c := range p.Schema().Fields() {
		have = append(have, c.Name())
	}
	var errs []error
	for _, want := range []string{"image", "image_id", "caption"} {
		if _, ok := p.Schema().Lookup(want); ok {
			continue
		}
		if _, ok := p.Schema().Lookup(want, "bytes"); ok {
			continue
		}
		err := fmt.Errorf("%s: no column %q, the file has %q", name, want, have)
		if near, ok := text.Nearest(want, have); ok && near != want {
			err = fmt.Errorf("%w; is %q meant?", err, near)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (rd *reading) parquet(split, name string) (err error) {
	defer func() { // the library panics on some damaged pages
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: damaged: %v", name, p)
		}
	}()
	f, p, err := openParquet(name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := parquet.NewGenericReader[parquetRow](p)
	defer r.Close()
	rows := make([]parquetRow, 256)
	for at := 0; ; {
		n, err := r.Read(rows)
		for _, row := range rows[:n] {
			rd.parquetRow(split, name, at, row)
			at++
		}
		clear(rows)
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: row %d: %w", name, at, err)
		}
	}
}

func (rd *reading) parquetRow(split, name string, at int, row parquetRow) {
	place := fmt.Sprintf("%s:%d", name, at)
	fail := func(why string, a ...any) {
		rd.bad = append(rd.bad, badRow{place, row.ImageID, fmt.Sprintf(why, a...)})
	}
	switch first, again := rd.seen[split+"/"+row.ImageID]; {
	case row.ImageID == "":
		fail("column image_id is empty")
		return
	case again:
		fail("image_id appears before, at %s", first)
		return
	case strings.TrimSpace(row.Caption) == "":
		fail("column caption is empty")
		return
	}
	rd.seen[split+"/"+row.ImageID] = place
	var cuis []string
	for _, c := range row.CUIs {
		if c != "" && c != "nan" {
			cuis = append(cuis, strings.Clone(c))
		}
	}
	rd.examples = append(rd.examples, Example{ID: strings.Clone(row.ImageID), Split: split, Caption: strings.Clone(row.Caption), CUIs: cuis,
		Modality: ModalityOf(cuis), Image: parquetRef(name, strconv.FormatInt(int64(at), 10))})
	rd.places = append(rd.places, place)
}

const parquetPrefix = "parquet:"

// parquetRef refers to a row of a file, which is a path or a reference by content.
func parquetRef(file, row string) string {
	return parquetPrefix + url.PathEscape(file) + "?row=" + row
}

// cutParquet takes a parquetRef without its prefix apart.
func cutParquet(rest string) (file, row string, err error) {
	path, row, _ := strings.Cut(rest, "?row=")
	file, err = url.PathUnescape(path)
	if err != nil {
		err = fmt.Errorf("image reference %q: %w", parquetPrefix+rest, err)
	}
	return file, row, err
}

// openParquetImage decodes the image behind "parquet:FILE?row=N".
func openParquetImage(ref string) (im *vision.Image, err error) {
	name, query, err := cutParquet(strings.TrimPrefix(ref, parquetPrefix))
	if err != nil {
		return nil, err
	}
	row, err := strconv.ParseInt(query, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("image reference %q: want parquet:FILE?row=NUMBER", ref)
	}
	if name, err = located(name); err != nil {
		return nil, fmt.Errorf("image: %w", err)
	}
	defer func() {
		if p := recover(); p != nil {
			im, err = nil, fmt.Errorf("%s: row %d: damaged: %v", name, row, p)
		}
	}()
	f, p, err := openParquet(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := parquetImage(p, row)
	if err != nil {
		return nil, fmt.Errorf("%s: row %d: %w", name, row, err)
	}
	return vision.Decode(raw, fmt.Sprintf("%s row %d", name, row))
}

func parquetImage(p *parquet.File, row int64) ([]byte, error) {
	if _, ok := p.Schema().Lookup("image", "bytes"); ok {
		got, err := oneRow[parquetStruct](p, row)
		return got.Image.Bytes, err
	}
	got, err := oneRow[parquetBytes](p, row)
	return got.Image, err
}

func oneRow[T any](p *parquet.File, row int64) (T, error) {
	r := parquet.NewGenericReader[T](p)
	defer r.Close()
	var out [1]T
	if err := r.SeekToRow(row); err != nil {
		return out[0], err
	}
	n, err := r.Read(out[:])
	if n == 1 {
		return out[0], nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = errors.New("no such row")
	}
	return out[0], err
}
