package pages

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"

	"composer-api/internal/agent"
	"composer-api/internal/api"
)

// The documentation as pages: the same files that stand in docs, rendered once, when a page is asked for first. A link that leads
// nowhere fails the tests.

// chapters are the documents of the guide in the order of the menu: files of folder docs without their ending.
var chapters = []string{
	"quick-start", "clients", "playground", "upstreams", "settings", "errors", "responses", "json-schema", "hosted-keys", "privacy", "deployment",
}

// A guide is the documentation as HTML. It never changes. It may be read by any number of goroutines.
type guide struct{ chapters []*chapter }

// A chapter is one document.
//
//	# Title             ► Title
//	text                ► intro
//	## Section          ► Sections[0]
//	text                ► its body
type chapter struct {
	Name  string // in its address
	Title string // the document's first heading
	// intro is what stands between the title and the first section.
	intro []byte
	// Sections are in the order of the document.
	Sections []*section
}

// A section begins with a heading of the second level. body is HTML in which documentAddress
// and documentRoot still stand for a page's own.
type section struct {
	ID    string // the heading's
	Title string
	// Setup is the name by which 'composer-api setup' knows the client that the section is about; "" for none. It is in the
	// document as the first block of the section.
	Setup string
	body  []byte // without the heading, and without that block
}

// What documents say and a page replaces: the address of a server that runs with the default settings, and where links
// to other chapters begin. The second can't stand in a document.
const (
	// Documents so stay right when they are read as files, and right for this server when they are
	// read as pages.
	documentAddress = "http://127.0.0.1:8787"
	documentRoot    = "/__root__"
)

// newGuide renders the documents in a folder. It fails for a link that leads nowhere.
func newGuide(folder fs.FS) (*guide, error) {
	g := &guide{}
	// Markup inside the Markdown is left out, which is goldmark's default.
	//
	// The ids of headings are made from their text, as on GitHub, so links between documents work
	// in both places.
	md := goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	for _, name := range chapters {
		source, err := fs.ReadFile(folder, name+".md")
		if err != nil {
			return nil, err
		}
		c, err := renderChapter(md, name, source)
		if err != nil {
			return nil, fmt.Errorf("%s.md: %w", name, err)
		}
		g.chapters = append(g.chapters, c)
	}
	return g, nil
}

// renderChapter parses a document and parts it at its headings of the second level. A document
// without a heading of the first level has no title.
func renderChapter(md goldmark.Markdown, name string, source []byte) (*chapter, error) {
	document := md.Parser().Parse(text.NewReader(source))
	if err := resolveLinks(document); err != nil {
		return nil, err
	}
	c := &chapter{Name: name}
	var part bytes.Buffer
	// Ends the part that was being rendered: the intro before the first section, else the last
	// section.
	finish := func() {
		html := operable(part.Bytes())
		if n := len(c.Sections); n > 0 {
			c.Sections[n-1].body = html
		} else {
			c.intro = html
		}
		part.Reset()
	}
	for node := document.FirstChild(); node != nil; node = node.NextSibling() {
		heading, isHeading := node.(*ast.Heading)
		switch {
		case isHeading && heading.Level == 1:
			c.Title = plainText(heading, source)
		// The template writes the headings itself, with a link to each.
		case isHeading && heading.Level == 2:
			finish()
			id, _ := heading.AttributeString("id")
			c.Sections = append(c.Sections, &section{ID: fmt.Sprintf("%s", id), Title: plainText(heading, source)})
		case len(c.Sections) > 0 && part.Len() == 0 && setupOf(node, source) != "":
			c.Sections[len(c.Sections)-1].Setup = setupOf(node, source)
		default:
			if err := md.Renderer().Render(&part, source, node); err != nil {
				return nil, err
			}
		}
	}
	finish()
	return c, nil
}

// setupOf returns the client's name when node is a block of code with nothing but 'composer-api setup CLIENT'; else "".
func setupOf(node ast.Node, source []byte) string {
	block, isCode := node.(*ast.FencedCodeBlock)
	if !isCode || block.Lines().Len() != 1 {
		return ""
	}
	line := block.Lines().At(0)
	name, isSetup := strings.CutPrefix(strings.TrimSpace(string(line.Value(source))), "composer-api setup ")
	if !isSetup {
		return ""
	}
	return name
}

// resolveLinks turns links to other documents, which work where the files lie, into links to their pages.
//
// What is let through: https addresses, places in the same document, and the documents in chapters.
//
//	settings.md#logs        /__root__/docs/settings#logs
//	#logs                   stays
//	https://example.com     stays
//	../main.go, http://…    an error
func resolveLinks(document ast.Node) error {
	return ast.Walk(document, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		link, isLink := node.(*ast.Link)
		if !isLink || !entering {
			return ast.WalkContinue, nil
		}
		to, err := url.Parse(string(link.Destination))
		if err != nil {
			return ast.WalkStop, err
		}
		switch name, isDocument := strings.CutSuffix(to.Path, ".md"); {
		case to.Scheme == "https" || to.Path == "" && to.Fragment != "":
		case isDocument && slices.Contains(chapters, name):
			to.Path = documentRoot + "/docs/" + name
			link.Destination = []byte(to.String())
		default:
			return ast.WalkStop, fmt.Errorf("the link to %s leads nowhere on the pages", link.Destination)
		}
		return ast.WalkContinue, nil
	})
}

// plainText is the text of a heading without its markup.
//
// Code in a heading loses its backquotes.
func plainText(heading ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(heading, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := node.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// operable makes what may be wider than the page scroll by itself, by keyboard, too. The tags are the renderer's: what
// looks like one in a document is escaped.
//
// A keyboard can scroll only what can have the focus, so these get a tabindex.
func operable(html []byte) []byte {
	return []byte(strings.NewReplacer(
		"<table>", `<div class="scroll" tabindex="0"><table>`, "</table>", "</table></div>",
		"<pre>", `<pre tabindex="0">`,
		"<th></th>", "<td></td>", // which heads nothing
	).Replace(string(html)))
}

// chapter returns a chapter by its name; nil when there is none.
func (g *guide) chapter(name string) *chapter {
	i := slices.IndexFunc(g.chapters, func(c *chapter) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return g.chapters[i]
}

// guideHTML is HTML of the guide for a page: with the server's own address in the place of the
// default one. The HTML is the renderer's, and the address is escaped here.
func (v *view) guideHTML(html []byte) template.HTML {
	return template.HTML(strings.NewReplacer(
		documentAddress, template.HTMLEscapeString(v.Address), documentRoot, template.HTMLEscapeString(v.Root),
	).Replace(string(html)))
}

// SetupCommand is the command that sets up the client of a section for this server; "" when there is none, or when it can't: it
// takes a host and a port, so it reaches no server behind TLS or below a path.
func (v *view) SetupCommand(s *section) string {
	at, plain := strings.CutPrefix(v.Address, "http://")
	switch {
	case s.Setup == "" || !plain || strings.Contains(at, "/"):
		return ""
	case v.Address == documentAddress:
		return "composer-api setup " + s.Setup
	}
	if _, _, err := net.SplitHostPort(at); err != nil {
		at = net.JoinHostPort(strings.Trim(at, "[]"), "80")
	}
	return "composer-api setup " + s.Setup + " --addr " + at
}

// Intro is what stands before the sections of a chapter.
func (v *view) Intro(c *chapter) template.HTML { return v.guideHTML(c.intro) }

// Body is the text of a section.
func (v *view) Body(s *section) template.HTML { return v.guideHTML(s.body) }

// A reading is what a page of the guide shows: the table of contents, and a chapter, if one is read.
type reading struct {
	Chapters []*chapter
	Chapter  *chapter
}

// contents answers GET /docs.
func (s *Site) contents(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	return s.render(w, r, http.StatusOK, "docs", &reading{Chapters: embedded().guide.chapters})
}

// read answers GET /docs/{chapter}.
//
// The name in the address is only looked up in the list of chapters; no file is opened.
func (s *Site) read(w http.ResponseWriter, r *http.Request, _ *api.Call) error {
	c := embedded().guide.chapter(r.PathValue("chapter"))
	if c == nil {
		return agent.Errorf(agent.UnknownURL, "There is no such page in the documentation. /docs lists them all.")
	}
	return s.render(w, r, http.StatusOK, "docs", &reading{Chapters: embedded().guide.chapters, Chapter: c})
}
