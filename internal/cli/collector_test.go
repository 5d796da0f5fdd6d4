package cli

import "testing"

func TestASmallHeapIsCollectedSeldom(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 1 << 20: 400, 8 << 20: 400, 16 << 20: 200, 24 << 20: 100, 48 << 20: 100, 4 << 30: 100} {
		if got := collectAt(live); got != want {
			t.Errorf("with %d MiB live at %d %%, want %d", live>>20, got, want)
		}
	}
}

func TestMemoryIsGivenBackOnceForEachRest(t *testing.T) {
	const mib = 1 << 20
	var r rest
	for i, look := range []struct {
		allocated, live uint64
		begins          bool
	}{
		{60 * mib, 8 * mib, false},   // it has just started
		{61 * mib, 8 * mib, true},    // and rests
		{62 * mib, 8 * mib, false},   // still
		{500 * mib, 90 * mib, false}, // load
		{520 * mib, 90 * mib, true},  // 20 MiB are little beside 90
		{523 * mib, 8 * mib, false},
	} {
		if got := r.begins(look.allocated, look.live); got != look.begins {
			t.Errorf("look %d: a rest begins: %v", i, got)
		}
	}
}
