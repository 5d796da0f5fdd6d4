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
		allocated, live, goroutines uint64
		begins                      bool
	}{
		{60 * mib, 8 * mib, 20, false},     // it has just started
		{61 * mib, 8 * mib, 20, true},      // and rests
		{62 * mib, 8 * mib, 20, false},     // still
		{500 * mib, 90 * mib, 9000, false}, // load
		{520 * mib, 90 * mib, 8000, true},  // 20 MiB are little beside 90: streams that wait
		{523 * mib, 90 * mib, 7000, false}, // some have left
		{525 * mib, 90 * mib, 100, true},   // all have
		{526 * mib, 8 * mib, 20, true},     // and so have most of the rest
		{527 * mib, 8 * mib, 20, false},
	} {
		if got := r.begins(look.allocated, look.live, look.goroutines); got != look.begins {
			t.Errorf("look %d: a rest begins: %v", i, got)
		}
	}
}
