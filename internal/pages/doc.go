// Package pages is what a web browser gets from this server: a home page that says whether all is well and how to
// point a client here, a playground, the documentation, and pages for hosted keys, usage and the operator.
//
// It is a surface like those below package api, with routes of its own, but its clients are people:
//
//	request ──► httpd ──► a handler of Site ──► a view (what is known) ──► templates/NAME.html ──► the page
//
// A handler gathers what its page says into a struct; a template lays it out and decides nothing. All text that comes
// from elsewhere (names of models, e-mail addresses, error messages) passes html/template, which escapes it for the
// place where it stands. Nothing is loaded from another server, and no page has code in its markup: the header
// Content-Security-Policy forbids both.
//
// Files of static are served as they are; what the program has of them are their compressed forms, below packed. Their address
// holds a hash of all of them, so that a browser may keep them for ever.
//
//	page.go        what all pages share: headers, layout, templates
//	routes.go      which address is which handler
//	site.go        the configuration, and Site
//	home.go, guide.go, keys.go, usage.go, admin.go, limits.go: the pages
//	login.go       sessions of a browser; usagelogin.go: who may look at turns; form.go: forms
//	chart.go       bars as SVG
//	assets.go      files; openapi.go: the API's document
//	timeline.go    the stages of a turn
//	failure.go     what people see of an error
//	session/       who is logged in
//
// A change is always a POST whose form names its session; a GET changes nothing. What a page shows
// of an account is read from the store for that page and kept nowhere.
package pages
