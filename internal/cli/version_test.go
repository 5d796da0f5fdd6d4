package cli

import (
	"runtime/debug"
	"testing"
)

func TestTheVersionSaysWhichCommitItIs(t *testing.T) {
	recorded := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123456789abcdef01234567"}, {Key: "vcs.time", Value: "2026-11-30T09:00:00Z"},
	}}
	for _, test := range []struct {
		name      string
		info      *debug.BuildInfo
		from, day string
	}{
		{"a build in a repository", recorded, "0123456789abcdef0123456789abcdef01234567", "2026-11-30"},
		{"a build without one", &debug.BuildInfo{}, "", ""},
		{"no record", nil, "", ""},
	} {
		if from, day := builtFrom(test.info, test.info != nil); from != test.from || day != test.day {
			t.Errorf("%s: %q of %q", test.name, from, day)
		}
	}
}
