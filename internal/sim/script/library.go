package script

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/tools/txtar"
)

// libraryFile is the library: one txtar file, in which every file is a script. The simulator plays
// them by name ("play NAME"), and the tests use them, too.
//
//go:embed library.txtar
var libraryFile []byte

// library is parsed once, when first asked for. The package's test parses it too, so an error in the
// file can't reach a release.
var library = sync.OnceValues(func() (map[string]*Script, error) { return parseArchive("library", libraryFile) })

// parseArchive reads a txtar archive, each file of which is a script of its own. A script without
// turns is an error here, because Play takes the first turn without looking.
func parseArchive(name string, data []byte) (map[string]*Script, error) {
	scripts := map[string]*Script{}
	for _, file := range txtar.Parse(data).Files {
		s, err := Parse(file.Name, file.Data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(s.Turns) == 0 {
			return nil, fmt.Errorf("%s: %s: the script is empty", name, file.Name)
		}
		scripts[file.Name] = s
	}
	return scripts, nil
}

// Named is the script of that name in the library that comes with the program. The error for an
// unknown name lists the names that exist, because it is shown to whoever wrote the script. The
// result is shared and must not be changed.
func Named(name string) (*Script, error) {
	scripts, err := library()
	if err != nil {
		return nil, err
	}
	if s := scripts[name]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("there is no script %q; there are %s", name, strings.Join(names(), ", "))
}

// names lists the library, sorted. It is only for the error of Named, so an error of the
// library itself is of no interest here.
func names() []string {
	scripts, _ := library()
	names := make([]string, 0, len(scripts))
	for name := range scripts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
