package table

import (
	"strings"
	"testing"

	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
)

// TestFacts: a column that describes systems is printed with its own decimals, and no line is best in it.
func TestFacts(t *testing.T) {
	r := &result{Labels: []string{"system"}, LabelTitles: []string{"System"}, Digits: 3, Level: 0.95,
		Columns: []column{{Name: "trained", Fact: true, Decimals: frame.NoDecimals}, {Name: "percent", Fact: true, Decimals: 2}, {Name: "rouge1"}},
		Lines: []line{
			{Labels: []string{"a"}, Cells: []cell{{Value: 40108032}, {Value: 0.5272}, {Value: 0.25}}, Deltas: []delta{
				{Kind: published, Label: "system", Cells: []cell{{Value: 40100000}, {Value: 0.53}, {Value: 0.251}}},
				{Kind: difference, Label: "system", Cells: []cell{{Value: 8032}, {Value: -0.0028}, {Value: -0.001}}}}},
			{Labels: []string{"b"}, Cells: []cell{{Value: 999}, {Value: 100}, {Value: 0.5}}, Deltas: []delta{
				{Kind: percent, Label: "system", Cells: []cell{{Value: -12}, {Value: 1234.5}, {Value: 100}}}}},
		}}
	var got []string
	for _, row := range r.view().Rows {
		var cells []string
		for _, c := range row.Cells[1:] {
			text := c.Text
			if c.Mark == view.Best {
				text = "*" + text
			}
			cells = append(cells, text)
		}
		got = append(got, strings.Join(cells, " "))
	}
	want := []string{"40,108,032 0.53 0.250", "40,100,000 0.53 0.251", "+8,032 0.00 -0.001", "999 100.00 *0.500", "-12.0% +1,234.5% +100.0%"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
