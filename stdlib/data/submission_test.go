package data_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/vision"
)

// written writes files and returns the path of the folder.
func written(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func list(dir string, names ...string) string {
	for i, n := range names {
		names[i] = filepath.Join(dir, n)
	}
	return strings.Join(names, string(os.PathListSeparator))
}

const referenceText = "ID,Caption\nimg_1,\"A CT, axial.\"\nimg_2,\"He said \"\"mass\"\".\"\nimg_3,two\n"

func dumped(t *testing.T, f frame.Frame) string {
	t.Helper()
	rows, err := frame.Read(steptest.Run(t, f.Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i := range rows.Len() {
		b.WriteString(rows.String(i, "system") + "/" + rows.String(i, frame.ID) + "/" + rows.String(i, frame.Reference) + "/" + rows.String(i, frame.Caption) + "\n")
	}
	return b.String()
}

// Every variant of the format gives the same rows, in the reference's order.
func TestSubmissions(t *testing.T) {
	dir := written(t, map[string]string{
		"ref.csv":       referenceText,
		"comma.csv":     "\ufeffid,CAPTION\r\nimg_3,three\r\nimg_1,\"one, and\nmore\"\r\nimg_2,2\r\n",
		"bar.csv":       "ID|Caption\nimg_3|three\nimg_2|2\nimg_1|\"one, and\nmore\"\n",
		"tab.tsv":       "Caption\tCUIs\tID\nthree\tC1\timg_3\n2\t\timg_2\n\"one, and\nmore\"\tC2\timg_1",
		"semi.csv":      "ID;Caption\nimg_1;\"one, and\nmore\"\nimg_2;2\nimg_3;three\n\n",
		"lines.jsonl":   "{\"id\": \"img_1\", \"caption\": \"one, and\\nmore\"}\n\n{\"ID\": \"img_2\", \"Caption\": \"2\", \"x\": [1]}\n{\"id\":\"img_3\",\"caption\":\"three\"}\n",
		"other/tab.tsv": "ID\tCaption\nimg_1\ta\nimg_2\tb\nimg_3\tc\n",
	})
	for _, name := range []string{"comma.csv", "bar.csv", "tab.tsv", "semi.csv", "lines.jsonl"} {
		system := strings.TrimSuffix(name, filepath.Ext(name))
		want := strings.ReplaceAll("S/img_1/A CT, axial./one, and\nmore\nS/img_2/He said \"mass\"./2\nS/img_3/two/three\n", "S/", system+"/")
		if got := dumped(t, data.Submissions(filepath.Join(dir, "ref.csv"), list(dir, name))); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
	both := list(dir, "tab.tsv", "bar.csv", "other/tab.tsv")
	got := dumped(t, data.Submissions(filepath.Join(dir, "ref.csv"), both))
	if names := data.Systems(both); names[0] != filepath.Base(dir)+"/tab" || names[1] != "bar" || names[2] != "other/tab" {
		t.Errorf("systems %q", names)
	}
	if !strings.Contains(got, "other/tab/img_3/two/c\n") || strings.Count(got, "\n") != 3*3+2 {
		t.Errorf("got\n%s", got)
	}
}

// Images are found by ID, and a frame with images has references to their content.
func TestSubmissionImages(t *testing.T) {
	dir := written(t, map[string]string{"ref.csv": "ID,Caption\na,x\nb.png,y\n", "p.csv": "ID,Caption\na,1\nb.png,2\n", "images/notes.txt": ""})
	for _, name := range []string{"a.png", "b.png"} {
		raw := vision.EncodePNG(vision.New(4, 4))
		if err := os.WriteFile(filepath.Join(dir, "images", name), raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	f := data.Submissions(filepath.Join(dir, "ref.csv"), filepath.Join(dir, "p.csv"), data.SubmissionOptions{Images: filepath.Join(dir, "images")})
	rows, err := frame.Read(steptest.Run(t, f.Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows.Len() {
		if ref := rows.String(i, frame.Image); !step.IsFileRef(ref) || strings.Contains(ref, dir) {
			t.Errorf("image %q", ref)
		}
	}
}

// Everything that is wrong with all files is said at once, by file and line.
func TestSubmissionErrors(t *testing.T) {
	dir := written(t, map[string]string{
		"ref.csv":       referenceText,
		"badref.csv":    "ID,Caption\na,\na,x\n,y\n",
		"emptyref.csv":  "ID,Caption\n",
		"headless.csv":  "img_1,one\nimg_2,two\n",
		"mixed.csv":     "ID,Caption\nimg_1,one\nimg_1,again\nimg2,two\nimg_3,three, four\n",
		"empty.csv":     "ID,Caption\nimg_1,one\nimg_2, \nimg_3,\"\"\n",
		"latin.csv":     "ID,Caption\nimg_1,na\xefve\nimg_2,b\nimg_3,c\n",
		"utf16.csv":     "\xff\xfeI\x00D\x00",
		"bare.csv":      "ID,Caption\nimg_1,a \"big\" mass\nimg_2,two\nimg_3,three\n",
		"after.csv":     "ID,Caption\nimg_1,\"a\" mass\nimg_2,two\nimg_3,three\n",
		"open.csv":      "ID,Caption\nimg_1,\"a mass\nimg_2,two\nimg_3,three\n",
		"few.csv":       "ID,Caption\nimg_1,one\n",
		"json.jsonl":    "{\"id\":\"img_1\"}\n[1]\n{\"id\":\"img_3\",\"caption\":7}\n",
		"void.csv":      "",
		"dir.csv/x.csv": "",
	})
	for _, c := range []struct {
		reference string
		files     []string
		want      []string
	}{
		{"ref.csv", []string{"mixed.csv", "headless.csv"}, []string{"5 errors in files of captions", "mixed.csv:3: img_1: ID appears before, at ", "mixed.csv:4: img2: ID is not in ", "; is img_2 meant?",
			"mixed.csv:5: img_3: 3 columns, want 2: a caption with ',' in it stands in double quotes", "headless.csv:1: no header with ID and Caption; the first line is \"img_1,one\". Want a first line such as: ID,Caption"}},
		{"badref.csv", []string{"few.csv", "bare.csv"}, []string{"badref.csv:2: a: the caption is empty", "badref.csv:4: the ID is empty", "bare.csv:2: column 9 of the line: a double quote within"}},
		{"emptyref.csv", []string{"few.csv"}, []string{"emptyref.csv:1: no reference captions"}},
		{"ref.csv", []string{"empty.csv"}, []string{"empty.csv:3: img_2: the caption is empty", "empty.csv:4: img_3: the caption is empty"}},
		{"ref.csv", []string{"latin.csv", "utf16.csv"}, []string{"latin.csv:2: not UTF-8 (byte 0xef at column 9)", "utf16.csv:1: the file is UTF-16"}},
		{"ref.csv", []string{"after.csv"}, []string{"after.csv:2: column 9 of the line: a double quote that ends a field is followed by text"}},
		{"ref.csv", []string{"open.csv"}, []string{"open.csv:2: a double quote opens here and does not close before a separator up to line 4"}},
		{"ref.csv", []string{"few.csv"}, []string{"few.csv:2: the file ends, and 2 of the 3 IDs of ", "have no caption: img_2, img_3"}},
		{"ref.csv", []string{"json.jsonl"}, []string{"json.jsonl:1: img_1: no field \"caption\"", "json.jsonl:2: no JSON object", "json.jsonl:3: img_3: the caption is 7; want a string"}},
		{"ref.csv", []string{"void.csv"}, []string{"void.csv:1: no header"}},
		{"ref.csv", []string{"dir.csv", "nofile.csv"}, []string{"dir.csv is a folder", "no file "}},
		{"ref.csv", []string{"few.csv", "few.csv"}, []string{`two files of predictions would be the system`}},
		{"ref.csv", nil, []string{"no file of predicted captions is named"}},
	} {
		f := data.Submissions(filepath.Join(dir, c.reference), list(dir, c.files...))
		_, err := steptest.Try(t, context.Background(), f.Ref())
		if err == nil {
			t.Errorf("%v: no error", c.files)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: no %q in\n%v", c.files, want, err)
			}
		}
	}
	if _, err := steptest.Try(t, context.Background(), data.Submissions(filepath.Join(dir, "ref.csv"), list(dir, "empty.csv"), data.SubmissionOptions{AllowEmpty: true}).Ref()); err != nil {
		t.Errorf("empty captions are allowed: %v", err)
	}
	f := data.Submissions(filepath.Join(dir, "ref.csv"), list(dir, "few.csv"), data.SubmissionOptions{Images: filepath.Join(dir, "dir.csv")})
	if _, err := steptest.Try(t, context.Background(), f.Ref()); err == nil || !strings.Contains(err.Error(), "ref.csv:2: img_1: no image of that name in ") {
		t.Errorf("no images: %v", err)
	}
}

// Many errors of one file do not hide those of another.
func TestSubmissionManyErrors(t *testing.T) {
	dir := written(t, map[string]string{"ref.csv": referenceText, "a.csv": "ID,Caption\n" + strings.Repeat("x,\n", 50), "b.csv": "nothing"})
	_, err := steptest.Try(t, context.Background(), data.Submissions(filepath.Join(dir, "ref.csv"), list(dir, "a.csv", "b.csv")).Ref())
	if err == nil || !strings.Contains(err.Error(), "more of this file") || !strings.Contains(err.Error(), "b.csv:1: no header") {
		t.Errorf("got %v", err)
	}
}
