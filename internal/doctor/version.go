package doctor

import "context"

// version tells what is looked at, for whoever is sent the findings.
func version(_ context.Context, s *Subject, r *report) { r.ok("%s", s.Version) }
