package api

import (
	"slices"
	"strconv"
)

// LoggedTypes are the types of items or tools that a request names, as the log may show them: each once, in the order of
// the alphabet. published reports whether an API has published a type of this name. A client may have put anything in the
// place of the others, so they are counted only: ["file_search", "2 others"].
//
// That the log holds nothing of a client's content is a rule of the whole program; a type is
// content as long as nobody has published it.
func LoggedTypes(names []string, published func(name string) bool) []string {
	var known []string
	others := 0
	for _, name := range names {
		if published(name) {
			known = append(known, name)
		} else {
			others++
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	if others > 0 {
		known = append(known, strconv.Itoa(others)+" others")
	}
	return known
}
