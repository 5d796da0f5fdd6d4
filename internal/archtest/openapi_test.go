package archtest

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A described operation is what the API's document says of a route.
type described struct {
	Security    *[]any `json:"security"` // empty: no key is needed
	OperationID string `json:"operationId"`
	RequestBody *struct {
		Content map[string]any `json:"content"`
	} `json:"requestBody"`
}

// TestTheAPIsDocumentNamesEveryRoute compares internal/pages/openapi.json with the routes in the sources, both ways: method,
// path, whether a key is needed, and whether a form is taken.
func TestTheAPIsDocumentNamesEveryRoute(t *testing.T) {
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(read(t, "internal/pages/openapi.json"), &document); err != nil {
		t.Fatal(err)
	}
	said := map[string]described{}
	ids := map[string]bool{}
	for at, item := range document.Paths {
		for method, raw := range item {
			if method == "parameters" || method == "servers" {
				continue
			}
			var d described
			if err := json.Unmarshal(raw, &d); err != nil {
				t.Fatal(err)
			}
			if ids[d.OperationID] || d.OperationID == "" {
				t.Errorf("%s %s: the operationId %q is taken, or none", method, at, d.OperationID)
			}
			ids[d.OperationID] = true
			said[strings.ToUpper(method)+" "+at] = d
		}
	}
	routes := routesInSources(t)
	for pattern, r := range routes {
		d, ok := said[pattern]
		switch {
		case !ok:
			t.Errorf("%s is served and not in the document", pattern)
			continue
		// httpd lets everybody in, and the admin API asks for a token of its own.
		case strings.Contains(pattern, " /api/admin/"):
			if !r.open || d.Security == nil || fmt.Sprint(*d.Security) != "[map[operator:[]]]" {
				t.Errorf("%s: the document does not say that it needs the operator's token", pattern)
			}
		case r.open != (d.Security != nil && len(*d.Security) == 0):
			t.Errorf("%s: open is %t, which the document does not say", pattern, r.open)
		}
		form := d.RequestBody != nil && d.RequestBody.Content["application/x-www-form-urlencoded"] != nil
		if r.form != form {
			t.Errorf("%s: takes a form is %t, which the document does not say", pattern, r.form)
		}
	}
	for pattern := range said {
		if _, ok := routes[pattern]; !ok {
			t.Errorf("%s is in the document and not served", pattern)
		}
	}
	if len(routes) < 40 {
		t.Errorf("%d routes are found in the sources: %v", len(routes), slices.Sorted(maps.Keys(routes)))
	}
}

// A route in the sources is a literal with a Pattern whose text begins with a method.
type route struct{ open, form bool }

var routePattern = regexp.MustCompile(`^(GET|POST|DELETE|PUT|PATCH) /`)

func routesInSources(t *testing.T) map[string]route {
	found := map[string]route{}
	for _, name := range files(t) {
		data := read(t, name)
		if !strings.HasPrefix(name, "internal/") || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || data == nil {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, data, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			fields := map[string]string{}
			for _, e := range literal.Elts {
				if pair, ok := e.(*ast.KeyValueExpr); ok {
					if key, ok := pair.Key.(*ast.Ident); ok {
						fields[key.Name] = text(pair.Value)
					}
				}
			}
			if pattern := fields["Pattern"]; routePattern.MatchString(pattern) {
				found[asDocument(name, pattern)] = route{open: fields["Open"] == "true", form: fields["Form"] == "true"}
			}
			return true
		})
	}
	return found
}

// text is a string literal's value, or a name.
func text(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return s
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// asDocument is a route's pattern as the document writes it. Surfaces are mounted below the API's bases, of which the
// document names /v1; the pages, the accounts and the server have whole paths.
func asDocument(file, pattern string) string {
	method, at, _ := strings.Cut(pattern, " ")
	if strings.HasPrefix(file, "internal/api/") && path.Dir(file) != "internal/api/accounts" && path.Dir(file) != "internal/api/admin" {
		at = "/v1" + at
	}
	return method + " " + strings.NewReplacer("{$}", "", "...}", "}").Replace(at)
}
