package session

import (
	"strings"

	"lightbox/runtime/report"
	"lightbox/runtime/view"
)

// What marks everything that a rehearsal shows and writes.
const (
	rehearsalMark = "REHEARSAL"
	rehearsalNote = "REHEARSAL: tiny random models on a handful of drawn pictures; no number or caption here is a result"
)

// rehearsed is a view that says of itself that it is no result, in every format and in its CSV.
func rehearsed(v view.View) view.View {
	switch v := v.(type) {
	case view.List:
		out := make(view.List, len(v))
		for i, x := range v {
			out[i] = rehearsed(x)
		}
		return out
	case view.Table:
		if !strings.HasPrefix(v.Title, rehearsalMark) {
			v.Title = strings.TrimSpace(rehearsalMark + " " + v.Title)
		}
		v.Footer = append([]string{rehearsalNote}, v.Footer...)
		full := report.Records(v)
		v.Full = make([][]string, len(full))
		for i, line := range full {
			v.Full[i] = append(append([]string{}, line...), rehearsalMark)
		}
		return v
	case view.Figure:
		v.Caption = marked(v.Caption)
		return v
	case view.Image:
		v.Caption = marked(v.Caption)
		return v
	case view.Text:
		v.Markdown = "**" + rehearsalNote + "**\n\n" + v.Markdown
		return v
	}
	return v
}

func marked(caption string) string {
	if strings.HasPrefix(caption, rehearsalMark) {
		return caption
	}
	return strings.TrimSpace(rehearsalMark + ". " + caption)
}
