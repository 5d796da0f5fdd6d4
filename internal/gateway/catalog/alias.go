package catalog

import "strings"

// Names that the operator gives to models (COMPOSER_ALIASES), so that clients with a fixed
// model name can be used. They are matched before the live catalogue is asked; see
// Catalog.Find.

// An Alias is another name, or a pattern of names, for a model.
type Alias struct {
	// Pattern is a name, in which each * matches any text: "gpt-*". Upper and lower case are the same.
	Pattern string
	// Model is the model that is used: a name of the catalogue, and not of another alias.
	Model string
}

// aliased is the model of the first alias that matches name, or name itself.
//
// The result is not looked up among the aliases again, so a circle is not possible.
func aliased(aliases []Alias, name string) string {
	candidates := spellings(name)
	for _, a := range aliases {
		pattern := strings.ToLower(a.Pattern)
		for _, candidate := range candidates {
			if fits(pattern, candidate) {
				return a.Model
			}
		}
	}
	return name
}

// fits reports whether name matches the pattern. It takes time linear in the name for each part
// of the pattern; there is no backtracking. Both are in lower case by then. A pattern without *
// must be the whole name.
func fits(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	name, ok := strings.CutPrefix(name, parts[0])
	if len(parts) == 1 {
		return ok && name == ""
	}
	for _, part := range parts[1 : len(parts)-1] {
		// The earliest place leaves the most for the parts that follow.
		_, after, found := strings.Cut(name, part)
		name, ok = after, ok && found
	}
	return ok && strings.HasSuffix(name, parts[len(parts)-1])
}
