package doctor

import (
	"context"
	"fmt"
)

// settings lists what is set and where, and what is wrong with it.
func settings(_ context.Context, s *Subject, r *report) {
	for _, f := range s.Settings.Wrong {
		r.broken(f.Cure, "%s", f.Text)
	}
	for _, f := range s.Settings.Doubtful {
		r.warn(f.Cure, "%s", f.Text)
	}
	if len(s.Settings.Wrong) > 0 {
		return
	}
	// Only good settings are listed. Of wrong ones nothing is known but what is wrong with them.
	found := Finding{Level: OK, Text: "nothing is set; everything has its default"}
	if n := len(s.Settings.Set); n > 0 {
		found.Text = fmt.Sprintf("set: %d; all else has its default", n)
	}
	for _, set := range s.Settings.Set {
		found.Details = append(found.Details, fmt.Sprintf("%s=%s (%s)", set.Name, set.Value, set.Origin))
	}
	r.add(found)
}
