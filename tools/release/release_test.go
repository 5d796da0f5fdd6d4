package main

import "testing"

func TestPythonVersions(t *testing.T) {
	for version, want := range map[string]string{
		"1.2.3": "1.2.3", "1.2.3-rc.1": "1.2.3rc1", "1.2.3-beta.12": "1.2.3b12", "1.2.3-alpha.1": "1.2.3a1", "0.0.1-snapshot.g01ab": "0.0.1.dev0+g01ab",
		"1.2.3-rc1": "", "1.2": "", "v1.2.3": "",
	} {
		if got, err := pythonVersion(version); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", version, got, err)
		}
	}
}

func TestNotesAreTheSectionOfAVersion(t *testing.T) {
	const changelog = "# Changes\n\n## 1.10.0, 2026-12-01\n\n- ten\n\n## 1.1.0\n\n- one\n### more\n- two\n\n## 1.0.0\n- first\n"
	for version, want := range map[string]string{"1.10.0": "- ten", "1.1.0": "- one\n### more\n- two", "1.0.0": "- first", "1.1": "", "2.0.0": ""} {
		if got := section(changelog, version); got != want {
			t.Errorf("%s: %q", version, got)
		}
	}
}
