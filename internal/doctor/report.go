package doctor

import (
	"fmt"
	"time"
)

// A report is what one check writes its findings to. It belongs to one run of the check.
type report struct {
	// check is the check's name, which add writes into each finding.
	check string
	// tell is Examine's. It is called at once, so a person sees each finding while the next is looked for.
	tell  func(Finding)
	worst Level // of all findings so far: Broken, then Skipped; else what came last
}

// ok reports that something is as it should be.
func (r *report) ok(format string, args ...any) {
	r.add(Finding{Level: OK, Text: fmt.Sprintf(format, args...)})
}

// okAfter is ok with the time that it took since began.
func (r *report) okAfter(began time.Time, format string, args ...any) {
	r.add(Finding{Level: OK, Text: fmt.Sprintf(format, args...), Took: took(began)})
}

// skip reports that something was not looked at. What needs this check is skipped, too.
func (r *report) skip(format string, args ...any) {
	r.add(Finding{Level: Skipped, Text: fmt.Sprintf(format, args...)})
}

// warn and broken report what is wrong. The cure comes first, so that nobody forgets it.
func (r *report) warn(cure, format string, args ...any) {
	r.add(Finding{Level: Warning, Text: fmt.Sprintf(format, args...), Cure: cure})
}

// broken is for what does not work. What needs this check is skipped then.
func (r *report) broken(cure, format string, args ...any) {
	r.add(Finding{Level: Broken, Text: fmt.Sprintf(format, args...), Cure: cure})
}

// add tells a finding. Nothing takes back that the check has found something broken.
func (r *report) add(f Finding) {
	f.Check = r.check
	// Broken stays whatever comes, and Skipped unless something is broken.
	if r.worst != Broken && (f.Level == Broken || r.worst != Skipped) {
		r.worst = f.Level
	}
	r.tell(f)
}

// took is the time since began in milliseconds, rounded up: nothing takes no time.
func took(began time.Time) int64 { return time.Since(began).Milliseconds() + 1 }
