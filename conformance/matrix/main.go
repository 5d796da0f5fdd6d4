// Program matrix writes the page of what was tried with which client, from the output of a test run:
//
//	go test -json ./... | go run ./matrix >../docs/conformance.md
//
// It runs in the conformance folder. Versions come from the lock files, results from the run. clients.go says which test shows
// what.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

func main() {
	page, err := write(os.Stdin, ".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
	os.Stdout.WriteString(page)
}

// A result is how a test ended: pass, fail or skip, as go test says it.
type result struct{ pkg, test, action string }

// results reads the output of go test -json, in which each line is an event.
func results(run io.Reader) ([]result, error) {
	var all []result
	lines := bufio.NewReader(run)
	for {
		// Lines may be longer than a Scanner takes: an event has a test's whole output.
		line, err := lines.ReadBytes('\n')
		var event struct{ Action, Package, Test string }
		// What is no event is what a compiler says, for example.
		if json.Unmarshal(line, &event) == nil && event.Test != "" {
			switch event.Action {
			case "pass", "fail", "skip":
				_, pkg, _ := strings.Cut(event.Package, "conformance/")
				all = append(all, result{pkg, event.Test, event.Action})
			}
		}
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// pattern is a test's name in a table, as a regular expression.
func pattern(test string) *regexp.Regexp {
	// go test writes blanks in the names of subtests as underscores.
	quoted := regexp.QuoteMeta(strings.ReplaceAll(test, " ", "_"))
	return regexp.MustCompile("^" + strings.ReplaceAll(quoted, `\*`, "[^/]*") + "$")
}

// outcome is what a run says of a capability: "" where the table has no test for it.
func outcome(all []result, c *client, capability string) string {
	// One test that failed is enough for "fails", and one that was skipped for "not run".
	claimed, passed, skipped := 0, 0, 0
	for _, s := range c.shows {
		if s.capability != capability {
			continue
		}
		claimed++
		name := pattern(s.test)
		for _, r := range all {
			if r.pkg != s.pkg || !name.MatchString(r.test) {
				continue
			}
			switch r.action {
			case "fail":
				return "**fails**"
			case "skip":
				skipped++
			default:
				passed++
			}
		}
	}
	switch {
	case claimed == 0:
		return ""
	// A test that the table names and the run does not have counts as not run, too.
	case passed == 0 || skipped > 0:
		return "not run"
	}
	return "yes"
}

// version reads a client's version from its lock file below dir: package-lock.json of npm, or pinned requirements of pip.
func version(dir string, c *client) (string, error) {
	data, err := os.ReadFile(dir + "/" + c.lock)
	if err != nil {
		return "", err
	}
	if strings.HasSuffix(c.lock, ".txt") {
		pinned := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(c.pack) + `==(\S+)`).FindSubmatch(data)
		if pinned == nil {
			return "", fmt.Errorf("%s has no %s", c.lock, c.pack)
		}
		return string(pinned[1]), nil
	}
	var lock struct {
		Packages map[string]struct {
			Version string `json:"version"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(data, &lock); err != nil {
		return "", fmt.Errorf("%s: %w", c.lock, err)
	}
	// The form of npm's lock files since version 2: a package for each folder.
	found := lock.Packages["node_modules/"+c.pack].Version
	if found == "" {
		return "", fmt.Errorf("%s has no %s", c.lock, c.pack)
	}
	return found, nil
}

// write makes the page of a run. dir is the conformance folder.
func write(run io.Reader, dir string) (string, error) {
	all, err := results(run)
	if err != nil {
		return "", err
	}
	var page strings.Builder
	page.WriteString(`# Conformance

What was tried with which real client, by way of the gateway and with the simulator in Cursor's place. ` + "`make conformance-matrix`" + ` runs the tests and writes this page: the versions are those of the lock files, the results those of
the run. An empty place was not tried; "not run" stands where the machine of the run had not got the client. ` + "`conformance/matrix/clients.go`" + ` says which test shows what.

`)
	page.WriteString("| client | version | " + strings.Join(capabilities, " | ") + " |\n|" + strings.Repeat(" --- |", len(capabilities)+2) + "\n")
	for i := range clients {
		v, err := version(dir, &clients[i])
		if err != nil {
			return "", err
		}
		page.WriteString("| " + clients[i].name + " | " + v + " |")
		for _, capability := range capabilities {
			page.WriteString(" " + outcome(all, &clients[i], capability) + " |")
		}
		page.WriteString("\n")
	}
	return page.String(), nil
}
