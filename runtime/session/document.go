package session

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"lightbox/runtime/eval"
	"lightbox/runtime/exec"
	"lightbox/runtime/report"
	"lightbox/runtime/step"
	"lightbox/runtime/view"
)

// Document is the recipe with what the store holds of its displayed variables.
// Nothing is run: what is missing is named with the command that makes it. films
// bounds how many pictures stand beside their captions, evenly spread over all
// of them; 0 is all.
func (s *Session) Document(ctx context.Context, films int) (report.Document, error) {
	p, err := s.plan(ctx, s.Exec, s.Values.Values)
	if err != nil {
		return report.Document{}, err
	}
	verb := "run"
	d := report.Document{Title: s.Recipe.Meta.Title, Intro: s.Recipe.Doc, Recipe: s.Recipe.Name, Source: string(s.Recipe.Source)}
	if s.o.Rehearse {
		verb, d.Rehearsal = "rehearse", rehearsalNote
	}
	d.Command = "lightbox " + verb + " " + s.o.Recipe + s.setFlags()
	there := 0
	lines := strings.Split(d.Source, "\n")
	for i, c := range s.Recipe.Cells {
		if i == 0 {
			d.Preamble = strings.TrimSpace(strings.Join(lines[:max(0, c.Line-1)], "\n"))
		}
		cell := report.Cell{Title: c.Title, Markdown: c.Markdown, Code: s.code(lines, i)}
		for _, v := range c.Vars {
			if !v.Displayed {
				continue
			}
			r, missing, err := s.result(p, v.Name, d.Command)
			if err != nil {
				return d, err
			}
			if missing != "" {
				d.Missing = append(d.Missing, missing)
			} else {
				there++
			}
			cell.Results = append(cell.Results, r)
		}
		d.Cells = append(d.Cells, cell)
	}
	if d.Films, d.FilmNote, err = s.films(p, films); err != nil {
		return d, err
	}
	if there == 0 && len(d.Films) == 0 && len(d.Missing) > 0 {
		return d, fmt.Errorf("nothing of %s is in the store %s; %s makes it", s.Recipe.Path, s.Store.Root(), d.Command)
	}
	s.facts(&d, p)
	return d, nil
}

// setFlags are the parameters that this session was given, as a shell takes them.
func (s *Session) setFlags() string {
	out := ""
	for _, k := range names(s.o.Set) {
		out += " --set " + shell(k+"="+s.o.Set[k])
	}
	return out
}

func shell(a string) string {
	if strings.ContainsAny(a, " \t\n'\"\\$&|;<>()*?[]{}~#`!") {
		return "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return a
}

// code is a cell's text without its %% comment.
func (s *Session) code(lines []string, cell int) string {
	c := s.Recipe.Cells[cell]
	end := len(lines)
	if cell+1 < len(s.Recipe.Cells) {
		end = s.Recipe.Cells[cell+1].Line - 1
	}
	from := c.Line - 1
	if c.Title != "" {
		for from < end && strings.HasPrefix(strings.TrimSpace(lines[from]), "//") {
			from++
		}
	}
	return strings.TrimSpace(strings.Join(lines[from:end], "\n"))
}

// result is what one variable shows, or a line that says what it lacks.
func (s *Session) result(p *exec.Plan, name, command string) (report.Result, string, error) {
	v, ok := s.Values.Value(name)
	if !ok {
		return report.Result{}, "", fmt.Errorf("%s: %s has no value", s.Recipe.Path, name)
	}
	r := report.Result{Name: name}
	if lacking := absent(p, v.Refs()); len(lacking) > 0 {
		r.Missing = fmt.Sprintf("**%s** is not in the store: %s must run first. `%s --only %s` makes it.", name, strings.Join(exec.Names(lacking), ", "), command, name)
		return r, fmt.Sprintf("**%s**: `%s --only %s`", name, command, name), nil
	}
	list, err := s.shown(s.Exec, p, []eval.Value{v})
	if err != nil {
		return r, "", err
	}
	r.View = list[0].View
	if _, isList := r.View.(view.List); !isList {
		return r, "", nil
	}
	c, ok := v.Any().(view.Captioned)
	if !ok {
		return r, "", nil
	}
	if r.Films, err = s.strip(p, v, c); err == nil {
		load(r.Films, c)
	}
	return r, "", err
}

// absent are the steps behind refs that must run before those can be shown.
func absent(p *exec.Plan, refs []step.Ref) []*exec.Item {
	var out []*exec.Item
	missing := false
	for _, r := range refs {
		it := p.Item(r)
		missing = missing || it == nil || it.Status != exec.Cached
	}
	if !missing {
		return nil
	}
	step.Walk(refs, func(r step.Ref) {
		if it := p.Item(r); it != nil && it.Status != exec.Cached {
			out = append(out, it)
		}
	})
	return out
}

func (s *Session) strip(p *exec.Plan, v eval.Value, c view.Captioned) ([]view.Film, error) {
	dirs, err := s.Exec.Dirs(p, v.Refs())
	if err != nil {
		return nil, err
	}
	films, err := c.Strip(dirs)
	if err != nil {
		return nil, fmt.Errorf("%s: captions of %s: %w", v.Var.Pos, v.Var.Name, err)
	}
	return films, nil
}

// load reads the films' pictures. One that cannot be read (its data is
// elsewhere) leaves the film without.
func load(films []view.Film, c view.Captioned) {
	for i, f := range films {
		if png, err := c.Picture(f.Image); err == nil {
			films[i].Picture = small(png)
		}
	}
}

// collect joins the captions of all variables, displayed or not, by example. The
// map says who can load each picture.
func (s *Session) collect(p *exec.Plan) (all []view.Film, pictures map[string]view.Captioned, err error) {
	at := map[string]int{}
	pictures = map[string]view.Captioned{}
	for _, v := range s.Values.Values {
		c, ok := v.Any().(view.Captioned)
		if !ok || len(absent(p, v.Refs())) > 0 {
			continue
		}
		list, err := s.strip(p, v, c)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range list {
			if pictures[f.Image] == nil {
				pictures[f.Image] = c
			}
			if k, ok := at[f.ID]; ok {
				all[k].Captions = joinCaptions(all[k].Captions, f.Captions)
				continue
			}
			at[f.ID] = len(all)
			f.Captions = joinCaptions(nil, f.Captions)
			all = append(all, f)
		}
	}
	return all, pictures, nil
}

// films are those captions, of at most most pictures, with the pictures.
func (s *Session) films(p *exec.Plan, most int) ([]view.Film, string, error) {
	all, pictures, err := s.collect(p)
	if err != nil {
		return nil, "", err
	}
	note := ""
	if n := len(all); most > 0 && n > most {
		picked := make([]view.Film, most)
		for i := range picked {
			picked[i] = all[i*n/most]
		}
		all = picked
		note = fmt.Sprintf("%d of %d images, evenly spread over the set; lightbox export --captions 0 shows all.", most, n)
	}
	dark := 0
	for i := range all {
		load(all[i:i+1], pictures[all[i].Image])
		if len(all[i].Picture) == 0 {
			dark++
		}
	}
	if dark > 0 {
		note = strings.TrimSpace(note + fmt.Sprintf(" The pictures of %d images cannot be read here.", dark))
	}
	return all, note, nil
}

// joinCaptions adds captions that are not there yet. The same text under a part
// of the labels is the same caption on its way through the recipe: the one with
// more labels stays, with the scores of both.
func joinCaptions(have, more []view.Caption) []view.Caption {
	for _, c := range more {
		k := slices.IndexFunc(have, func(h view.Caption) bool {
			return h.Text == c.Text && h.Image == c.Image && (within(h.Labels, c.Labels) || within(c.Labels, h.Labels))
		})
		if k < 0 {
			have = append(slices.Clip(have), c)
			continue
		}
		if len(c.Labels) > len(have[k].Labels) {
			have[k].Labels = c.Labels
		}
		if len(c.Scores) > len(have[k].Scores) {
			have[k].Scores = c.Scores
		}
	}
	return have
}

func within(a, b [][2]string) bool {
	for _, x := range a {
		if !slices.Contains(b, x) {
			return false
		}
	}
	return true
}

// facts says what the results rest on: at the top in a line, at the end in full.
func (s *Session) facts(d *report.Document, p *exec.Plan) {
	b := s.basis(p, p.Items)
	for _, k := range names(s.o.Set) {
		d.Facts = append(d.Facts, "set "+k+"="+s.o.Set[k])
	}
	d.Facts = append(d.Facts, "seed "+strconv.FormatUint(s.Recipe.Meta.Seed, 10))
	if len(b.devices) > 0 {
		d.Facts = append(d.Facts, "made on "+strings.Join(b.devices, " and "))
		d.Facts = append(d.Facts, "lightbox "+strings.Join(b.versions, ", "))
	}
	about := view.Table{Header: [][]view.Cell{row("What", "Value").Cells}, Align: []view.Align{view.Left, view.Left}}
	add := func(what, value string) {
		if value != "" {
			about.Rows = append(about.Rows, row(what, value))
		}
	}
	add("Recipe", fmt.Sprintf("%s, SHA-256 %x", s.Recipe.Name, sha256.Sum256(s.Recipe.Source)))
	add("Seed", strconv.FormatUint(s.Recipe.Meta.Seed, 10))
	for _, k := range names(s.o.Set) {
		add("--set "+k, s.o.Set[k])
	}
	add("Device", strings.Join(b.devices, " and "))
	add("Lightbox", strings.Join(b.versions, ", "))
	for _, x := range b.rests {
		add(strings.ToUpper(x.kind[:1])+x.kind[1:], x.name+", SHA-256 "+x.hash)
	}
	origin := view.List{about}
	if steps := stepTable(p); len(steps.Rows) > 0 {
		origin = append(origin, steps)
	}
	d.Origin = origin
}

func row(cells ...string) view.Row {
	var r view.Row
	for _, c := range cells {
		r.Cells = append(r.Cells, view.Cell{Text: c})
	}
	return r
}

// stepTable lists the steps that the store holds.
func stepTable(p *exec.Plan) view.Table {
	head := row("Variable", "Operation", "Artifact", "Made", "Seconds", "On", "Files").Cells
	if !slices.ContainsFunc(p.Items, func(it *exec.Item) bool { return len(it.Sources) > 0 }) {
		head = head[:len(head)-1]
	}
	t := view.Table{Caption: "Every step with its artifact in the store, and what it read from outside.", Header: [][]view.Cell{head},
		Align: []view.Align{view.Left, view.Left, view.Left, view.Left, view.Right, view.Left}}
	for _, it := range p.Items {
		m := it.Manifest
		if m == nil {
			continue
		}
		files := ""
		if n := len(it.Sources); n > 0 {
			files = fmt.Sprintf("%d, SHA-256 %.12s", n, sourcesHash(it))
		}
		r := row(it.Name(), m.Op+" "+m.Version, m.Key.Short(), m.Made.UTC().Format("2006-01-02 15:04 UTC"),
			strconv.FormatFloat(m.Seconds, 'f', 1, 64), device(m), files)
		r.Cells = r.Cells[:len(head)]
		t.Rows = append(t.Rows, r)
	}
	return t
}
