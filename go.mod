module lightbox

go 1.26.0

require (
	codeberg.org/go-pdf/fpdf v0.11.1 // what gonum/plot writes PDF with; fixes the date in it
	github.com/clipperhouse/displaywidth v0.10.0 // columns that a text takes in a terminal (tables)
	github.com/dlclark/regexp2 v1.11.5 // look-ahead in tokenizers' patterns
	github.com/expr-lang/expr v1.17.8 // filters and formulas in strings
	github.com/mattn/go-isatty v0.0.20 // progress bar on a terminal, lines in a pipe
	github.com/mmcloughlin/avo v0.6.0 // writes the assembly; go generate only (build tag avo)
	github.com/olekukonko/tablewriter v1.1.5 // terminal tables
	github.com/parquet-go/parquet-go v0.32.0 // the parquet edition of ROCOv2
	github.com/reeflective/readline v1.3.0 // the REPL's line editor
	github.com/rivo/uniseg v0.4.7 // grapheme clusters, which the compiled normalisation of SentencePiece goes by
	github.com/spf13/cobra v1.10.2 // command line
	github.com/traefik/yaegi v0.16.1 // the interpreter of recipes
	github.com/vbauerster/mpb/v8 v8.16.2 // progress bars
	golang.org/x/image v0.47.0 // BMP, TIFF and WebP
	golang.org/x/sys v0.49.0 // memory maps, file locks, CPU features
	golang.org/x/text v0.43.0 // Unicode normalisation and case
	golang.org/x/tools v0.52.0 // reads and writes export data for the type-checker
	gonum.org/v1/plot v0.17.0 // axes of figures; SVG, PNG and PDF
	gopkg.in/yaml.v3 v3.0.1 // front matter, lexicons, lock files
	gorgonia.org/gorgonia v0.9.18 // autodiff: the probe, and the oracle of gradients in tests
	gorgonia.org/tensor v0.9.23 // Gorgonia's values
)

require (
	codeberg.org/go-fonts/liberation v0.5.0 // indirect
	codeberg.org/go-latex/latex v0.2.0 // indirect
	git.sr.ht/~sbinet/gg v0.7.0 // indirect
	github.com/VividCortex/ewma v1.2.0 // indirect
	github.com/acarl005/stripansi v0.0.0-20180116102854-5a71ef0e047d // indirect
	github.com/ajstarks/svgo v0.0.0-20211024235047-1546f124cd8b // indirect
	github.com/andybalholm/brotli v1.1.1 // indirect
	github.com/apache/arrow/go/arrow v0.0.0-20211112161151-bc219186db40 // indirect
	github.com/awalterschulze/gographviz v2.0.3+incompatible // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/chewxy/hm v1.0.0 // indirect
	github.com/chewxy/math32 v1.10.1 // indirect
	github.com/clipperhouse/uax29/v2 v2.7.0 // indirect
	github.com/fatih/color v1.18.0 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/freetype v0.0.0-20170609003504-e2365dfdc4a0 // indirect
	github.com/golang/protobuf v1.5.2 // indirect
	github.com/google/flatbuffers v2.0.6+incompatible // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/klauspost/compress v1.17.9 // indirect
	github.com/leesper/go_rng v0.0.0-20190531154944-a612b043e353 // indirect
	github.com/mattn/go-colorable v0.1.14 // indirect
	github.com/mattn/go-runewidth v0.0.30 // indirect
	github.com/olekukonko/cat v0.0.0-20250911104152-50322a0618f6 // indirect
	github.com/olekukonko/errors v1.2.0 // indirect
	github.com/olekukonko/ll v0.1.6 // indirect
	github.com/parquet-go/bitpack v1.0.0 // indirect
	github.com/parquet-go/jsonlite v1.0.0 // indirect
	github.com/pierrec/lz4/v4 v4.1.21 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	github.com/twpayne/go-geom v1.6.1 // indirect
	github.com/vbauerster/cupwriter v0.0.5 // indirect
	github.com/xtgo/set v1.0.0 // indirect
	go4.org/unsafe/assume-no-moving-gc v0.0.0-20231121144256-b99613f794b6 // indirect
	golang.org/x/mod v0.42.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/xerrors v0.0.0-20200804184101-5ec99f83aff1 // indirect
	gonum.org/v1/gonum v0.16.0 // indirect
	google.golang.org/protobuf v1.34.2 // indirect
	gorgonia.org/cu v0.9.4 // indirect
	gorgonia.org/dawson v1.2.0 // indirect
	gorgonia.org/vecf32 v0.9.0 // indirect
	gorgonia.org/vecf64 v0.9.0 // indirect
)
