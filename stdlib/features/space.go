package features

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"lightbox/stdlib/models/model"
)

// Variable is the environment variable that turns the cache off or limits it.
const Variable = "LIGHTBOX_FEATURES"

// reserve is what stays free on the disk.
const reserve = 1 << 30

// limit reads a value of Variable: bytes, 0 for "off", the most for none.
func limit(text string) (int64, error) {
	t := strings.TrimSpace(text)
	switch t {
	case "":
		return math.MaxInt64, nil
	case "off", "0":
		return 0, nil
	}
	for _, unit := range []struct {
		name  string
		bytes float64
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}} {
		number, ok := strings.CutSuffix(t, unit.name)
		if n, err := strconv.ParseFloat(strings.TrimSpace(number), 64); ok && err == nil && n >= 0 && n*unit.bytes < math.MaxInt64 {
			return int64(n * unit.bytes), nil
		}
	}
	return 0, fmt.Errorf(`the environment variable %s is %q; want "off", or a limit such as "20GB", "500MB", "1TB"`, Variable, text)
}

// budget is how much may be written into dir, of whose files the limit is.
func budget(dir string, limit int64) int64 {
	room := int64(math.MaxInt64)
	if free, ok := freeOn(dir); ok {
		room = max(0, free-reserve) / 2
	}
	if limit < math.MaxInt64 {
		room = min(room, max(0, limit-sizeOf(dir)))
	}
	return room
}

func sizeOf(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if st, err := e.Info(); err == nil {
				n += st.Size()
			}
		}
		return nil
	})
	return n
}

// Plan says for a plan what becomes of the features of some images, each of so many bytes (Size). adapted is the first layer
// of the vision tower that an adapter changes, "" of none. It is "" where there is nothing to say.
func Plan(images int, bytes int64, adapted string) string {
	switch {
	case adapted != "":
		return "image features " + refusal(adapted)
	case images == 0 || bytes == 0 || os.Getenv(Variable) == "off":
		return ""
	}
	return fmt.Sprintf("image features kept on disk (%d images, %s)", images, sizeText(int64(images)*bytes))
}

// Size is what the features of an image of so many rows take on disk.
func Size(info model.Info, rows int) int64 {
	each := int64(4)
	if info.HalfFeatures {
		each = 2
	}
	return headerSize + each*int64(rows)*int64(info.VisionHidden)
}

func sizeText(n int64) string {
	v, unit := float64(n), "B"
	for _, u := range []string{"kB", "MB", "GB", "TB"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, u
	}
	return fmt.Sprintf("%.3g %s", v, unit)
}
