package frame_test

import (
	"context"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/frame"
)

// What selects nothing among a rehearsal's drawn examples keeps all rows of the first one.
func TestSelectionsInRehearsal(t *testing.T) {
	made := func() frame.Frame {
		rows := frame.NewRows(frame.CaptionColumns("system"))
		for _, s := range []string{"base", "LoRA"} {
			for _, id := range []string{"a", "b"} {
				i := rows.Add()
				rows.SetString(i, "system", s)
				rows.SetString(i, frame.ID, id)
			}
		}
		op := &step.Op{Name: "test.made", Version: "1", Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
		return frame.New(step.New(op, nil), rows.Columns())
	}
	all := func() []frame.Frame {
		return []frame.Frame{made().At("ImageCLEF_1"), made().Where("caption matches 'effusion'"), made().Where("id == 'b'")}
	}
	leave := step.Enter(step.Scope{Rehearse: true})
	rehearsed := all()
	leave()
	for k, want := range []string{"a a", "a a", "b b"} {
		rows, err := frame.Read(steptest.Run(t, rehearsed[k].Ref())[0])
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(rows.Strings(frame.ID), " "); got != want {
			t.Errorf("selection %d keeps %q, want %q", k, got, want)
		}
	}
	plain := all()
	if _, err := steptest.Try(t, context.Background(), plain[0].Ref()); err == nil || !strings.Contains(err.Error(), `no row with id "ImageCLEF_1" among 4 rows, from "a" to "b"`) {
		t.Errorf("error %v", err)
	}
	if rows, err := frame.Read(steptest.Run(t, plain[1].Ref())[0]); err != nil || rows.Len() != 0 {
		t.Errorf("outside of a rehearsal %d rows are left (%v)", rows.Len(), err)
	}
}
