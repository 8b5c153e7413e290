package data

import (
	"context"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
)

// A filter that finds nothing among a rehearsal's drawn examples keeps the first; outside of one it is an error, as is a
// filter that is wrong.
func TestWhereInRehearsal(t *testing.T) {
	find := func(filter string) Set {
		return ROCOv2("not/there").Split("test").Where(filter)
	}
	leave := step.Enter(step.Scope{Rehearse: true})
	none, some, bad := find("id == 'ROCOv2_2023_test_000001'"), find("id endsWith '2'"), find("modalty == 'MRI'")
	leave()
	if r := reader(t, none); r.Len() != 1 {
		t.Errorf("%d examples, want 1", r.Len())
	}
	if r := reader(t, some); r.Len() != 1 || !strings.HasSuffix(r.Example(0).ID, "2") {
		t.Errorf("%d examples, the first %s", r.Len(), r.Example(0).ID)
	}
	if _, err := steptest.Try(t, context.Background(), bad.Ref()); err == nil || !strings.Contains(err.Error(), "modalty") {
		t.Errorf("error %v", err)
	}
	if got := failure(t, Phantom(PhantomOptions{Test: 4}).Where("id == 'x'")); !strings.Contains(got, "leaves none of the 4 examples") {
		t.Errorf("error %s", got)
	}
}
