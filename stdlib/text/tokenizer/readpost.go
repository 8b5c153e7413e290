package tokenizer

import "strings"

// readPost reads the post-processors, sequences laid flat.
func readPost(root node, t *Tokenizer) ([]postprocessor, error) {
	n, ok, err := root.child("post_processor")
	if err != nil || !ok {
		return nil, err
	}
	return readPostInto(n, nil)
}

func readPostInto(n node, out []postprocessor) ([]postprocessor, error) {
	kind, err := n.kind()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		list, err := n.list("processors")
		for _, c := range list {
			if out, err = readPostInto(c, out); err != nil {
				return nil, err
			}
		}
		return out, err
	case "ByteLevel":
		b, err := readByteLevel(n)
		if b.trimOffsets {
			out = append(out, trimmer{b.prefixSpace})
		}
		return out, err
	case "TemplateProcessing":
		t, err := readTemplate(n)
		return append(out, t), err
	case "RobertaProcessing":
		b, err := readByteLevel(n)
		if err != nil {
			return nil, err
		}
		if b.trimOffsets {
			out = append(out, trimmer{b.prefixSpace})
		}
		t, err := readClsSep(n)
		return append(out, t), err
	case "BertProcessing":
		t, err := readClsSep(n)
		return append(out, t), err
	}
	return nil, n.unknownKind(kind, "Sequence", "ByteLevel", "TemplateProcessing", "RobertaProcessing", "BertProcessing")
}

// readClsSep is the template "cls text sep".
func readClsSep(n node) (template, error) {
	t := template{{}, {}, {}}
	for i, key := range []string{"cls", "", "sep"} {
		if key == "" {
			continue
		}
		pair, err := need[[2]any](n, key, "a token and its id")
		if err != nil {
			return nil, err
		}
		text, ok1 := pair[0].(string)
		id, ok2 := pair[1].(float64)
		if !ok1 || !ok2 {
			return nil, n.errorf(key, "want a token and its id, got %v", pair)
		}
		t[i] = part{ids: []int32{int32(id)}, texts: []string{text}}
	}
	return t, nil
}

// readTemplate reads the template for one text.
func readTemplate(n node) (template, error) {
	list, err := n.list("single")
	if err != nil {
		return nil, err
	}
	specials, _, err := n.child("special_tokens")
	if err != nil {
		return nil, err
	}
	var t template
	for _, c := range list {
		if s, ok, err := c.child("Sequence"); err != nil {
			return nil, err
		} else if ok {
			typ, err := get(s, "type_id", int32(0), "a number")
			if err != nil {
				return nil, err
			}
			if id, err := need[string](s, "id", `"A" or "B"`); err != nil || id != "A" {
				return nil, s.errorf("id", "the template of one text asks for text %q", id)
			}
			t = append(t, part{typ: typ})
			continue
		}
		s, ok, err := c.child("SpecialToken")
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, c.errorf("", "want Sequence or SpecialToken, got %s", strings.Join(keysOf(c.fields), ", "))
		}
		p, err := readSpecial(s, specials)
		if err != nil {
			return nil, err
		}
		t = append(t, p)
	}
	return t, nil
}

func readSpecial(s, specials node) (part, error) {
	typ, err := get(s, "type_id", int32(0), "a number")
	if err != nil {
		return part{}, err
	}
	name, err := need[string](s, "id", "a string")
	if err != nil {
		return part{}, err
	}
	d, ok, err := specials.child(name)
	if err != nil {
		return part{}, err
	}
	if !ok {
		return part{}, s.errorf("id", "%q is not in special_tokens%s", name, hint(name, keysOf(specials.fields)))
	}
	ids, err := need[[]int32](d, "ids", "a list of numbers")
	if err != nil {
		return part{}, err
	}
	texts, err := need[[]string](d, "tokens", "a list of strings")
	if err == nil && len(texts) != len(ids) {
		err = d.errorf("tokens", "%d tokens, but %d ids", len(texts), len(ids))
	}
	return part{ids: ids, texts: texts, typ: typ}, err
}
