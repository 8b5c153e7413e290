package modality

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/models/model"
)

type predictParams struct {
	Options ResNetOptions `key:"local"` // for the estimate; what it is stands in the classifier's own step
}

// predictBatch is the number of images that pass the network at once; results do not depend on it.
const predictBatch = 16

// Columns of Predictions beside id, image and modality.
const (
	predicted   = "predicted"
	probability = "probability"
	right       = "right"
)

func predictionColumns() []frame.Column {
	return []frame.Column{{Name: frame.ID}, {Name: frame.Image}, {Name: frame.Modality}, {Name: predicted, Title: "Predicted"},
		{Name: probability, Kind: frame.Number, Title: "Probability", Note: "Probability: softmax of the predicted modality"},
		{Name: right, Kind: frame.Number, Title: "Accuracy", Note: "Accuracy: 1 where the predicted modality is the true one; absent where that is not known"}}
}

var predictOp = &step.Op{Name: "modality.predict", Version: "1", Cost: predictCost,
	Run: func(ctx *step.Context, dir string) error {
		n, err := openNetwork(ctx.Input(0), ops.From(ctx))
		if err != nil {
			return err
		}
		r, err := data.Open(ctx.Input(1))
		if err != nil {
			return err
		}
		all := make([]int, r.Len())
		for i := range all {
			if all[i] = i; r.Example(i).Image == "" {
				return fmt.Errorf("example %s has no image to guess a modality from", r.Example(i).ID)
			}
		}
		guesses, err := n.predict(ctx, r, all)
		if err != nil {
			return err
		}
		rows, hints := frame.NewRows(predictionColumns()), make([]hint, len(guesses))
		for i, g := range guesses {
			ex, at := r.Example(i), rows.Add()
			hints[i] = hint{ex.ID, g.Modality}
			rows.SetString(at, frame.ID, ex.ID)
			rows.SetString(at, frame.Image, ex.Image)
			rows.SetString(at, frame.Modality, ex.Modality)
			rows.SetString(at, predicted, g.Modality)
			rows.SetNumber(at, probability, g.Probability)
			switch ex.Modality {
			case "":
			case g.Modality:
				rows.SetNumber(at, right, 1)
			default:
				rows.SetNumber(at, right, 0)
			}
		}
		return errors.Join(writeHints(dir, hints), rows.Write(dir))
	}}

func predictCost(s step.Step) step.Cost {
	counts, exact := data.Count(s.In[1])
	o, images := s.Params.(predictParams).Options.filled(), data.Total(counts)
	if images == 0 || o.config(1).Check() != nil || o.Size < 1 {
		return step.Cost{}
	}
	e, err := model.Measured(fmt.Sprint("modality.predict", o.Size, o.Layers, o.Width), func() (model.Estimate, error) {
		on := ops.Meta()
		n := newNetwork(o, make([]string, guessClasses))
		n.blank(on.Device)
		n.guess(on.Device, slices.Repeat([]*model.Sample{{Pixels: make([]float32, 3*o.Size*o.Size)}}, predictBatch))
		return model.Metered(on), nil
	})
	if err != nil {
		return step.Cost{}
	}
	note := fmt.Sprintf("%d images", images)
	if !exact {
		note = "up to " + note
	}
	batches := float64(images) / predictBatch
	return step.Cost{FLOPs: batches * e.FLOPs, ReadBytes: batches * e.ReadBytes, PeakBytes: e.Resident() + model.Host(4*3*predictBatch*int64(o.Size*o.Size)), Note: note}
}

// guess is what the network says of an image.
type guess struct {
	Modality    string
	Probability float64
}

// guess runs a batch in evaluation mode.
func (n *network) guess(dev *ops.Device, batch []*model.Sample) []guess {
	tape := tensor.NewScratch()
	defer tape.Release()
	p := ops.Softmax(n.logits(dev, batch, tape, false)) // (B, classes)
	best, values := ops.Argmax(p), ops.Floats(p)
	out := make([]guess, len(batch))
	for i, c := range best {
		out[i] = guess{n.Classes[c], float64(values[i*len(n.Classes)+int(c)])}
	}
	return out
}

// predict says the modality of rows of a set.
func (n *network) predict(ctx *step.Context, r *data.Reader, rows []int) ([]guess, error) {
	var out []guess
	for part := range slices.Chunk(rows, predictBatch) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var batch []*model.Sample
		for _, i := range part {
			im, err := r.Image(i)
			if err != nil {
				return nil, err
			}
			s, err := n.encode(im)
			if err != nil {
				return nil, fmt.Errorf("example %s: %w", r.Example(i).ID, err)
			}
			batch = append(batch, s)
		}
		out = append(out, n.guess(ops.From(ctx), batch)...)
		ctx.Progress(int64(len(out)), int64(len(rows)), "modalities")
	}
	return out, nil
}

// Predictions are the classifier's answers for every image of a set: id, image, modality (the true one), predicted,
// probability and right (1 or 0, whose mean is the accuracy).
func (c Classifier) Predictions(of data.Set) frame.Frame {
	return frame.New(c.ModalityRef(of), predictionColumns()).WithImages(data.Film)
}

// A Confusion counts a classifier's answers by the true modality; images whose modality is not known are left out.
type Confusion struct{ ref step.Ref }

// Confusion counts the classifier's answers on a set.
func (c Classifier) Confusion(of data.Set) Confusion { return Confusion{c.ModalityRef(of)} }

// Refs is what must exist before the counts can be viewed.
func (c Confusion) Refs() []step.Ref { return []step.Ref{c.ref} }

// View is the table of counts: a row for each true modality, a column for each predicted one, recall per row, precision
// per column, and the accuracy.
func (c Confusion) View(dirs []string) (view.View, error) {
	classes, counts, err := ReadConfusion(dirs[0])
	if err != nil {
		return nil, err
	}
	return confusionTable(classes, counts), nil
}

// ReadConfusion reads the counts from the artifact behind a Confusion: the classes, sorted, and how many images of each
// (row) were given which (column).
func ReadConfusion(dir string) (classes []string, counts [][]int, err error) {
	rows, err := frame.Read(dir)
	if err != nil {
		return nil, nil, err
	}
	by := map[[2]string]int{}
	truths, guesses := rows.Strings(frame.Modality), rows.Strings(predicted)
	for i, truth := range truths {
		if truth == "" {
			continue
		}
		by[[2]string{truth, guesses[i]}]++
		for _, class := range []string{truth, guesses[i]} {
			if !slices.Contains(classes, class) {
				classes = append(classes, class)
			}
		}
	}
	sort.Strings(classes)
	for _, truth := range classes {
		row := make([]int, len(classes))
		for j, guess := range classes {
			row[j] = by[[2]string{truth, guess}]
		}
		counts = append(counts, row)
	}
	return classes, counts, nil
}

func confusionTable(classes []string, counts [][]int) view.Table {
	head := []view.Cell{{Text: "True"}}
	for _, c := range classes {
		head = append(head, view.Cell{Text: c})
	}
	t := view.Table{Title: "Modality: true and predicted", Header: [][]view.Cell{append(head, view.Cell{Text: "Recall"})}, Align: []view.Align{view.Left}}
	total := make([]int, len(classes)) // by predicted class
	hits, known := 0, 0
	for i, truth := range classes {
		cells, sum := []view.Cell{{Text: truth}}, 0
		for j, n := range counts[i] {
			sum += n
			total[j] += n
			cells = append(cells, view.Cell{Text: strconv.Itoa(n)})
		}
		hits += counts[i][i]
		known += sum
		t.Rows = append(t.Rows, view.Row{Cells: append(cells, ratio(counts[i][i], sum))})
	}
	last := []view.Cell{{Text: "Precision"}}
	for j := range classes {
		last = append(last, ratio(counts[j][j], total[j]))
	}
	t.Rows = append(t.Rows, view.Row{Cells: append(last, ratio(hits, known))})
	t.Align = append(t.Align, slices.Repeat([]view.Align{view.Right}, len(classes)+1)...)
	t.Footer = []string{fmt.Sprintf("%d of %d images are named rightly; the last number is the accuracy", hits, known)}
	return t
}

// ratio is n of m, "-" of none.
func ratio(n, m int) view.Cell {
	if m == 0 {
		return view.Cell{Text: "-"}
	}
	return view.Cell{Text: fmt.Sprintf("%.3f", math.Round(1e3*float64(n)/float64(m))/1e3)}
}
