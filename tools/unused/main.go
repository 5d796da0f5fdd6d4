// Command unused lists exported names that no other package uses, in the packages below a module's internal folder.
//
//	go run ./unused -dir ..
//
// A name that only its own package uses should not be exported: a reader takes it for a part of the contract. Tests
// count as users, also those of the package itself if they stand outside of it (package x_test). Not listed are what the
// language or a reader of the contract needs: methods that some interface asks for or that anybody calls by that name,
// fields, types that an exported function, method or field mentions, constants of a group of which some is used, constants
// of a type that is exported, and types that implement an exported interface of their package.
package main

import (
	"flag"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// allowed are names that stay although nobody uses them, with the reason.
var allowed = map[string]string{
	"composer-api/internal/backend/replay.Transport": "Send's contract names it: it is what NewTransport makes",
	"composer-api/internal/store.Sweeper":            "a part of Store, which says what its method does",
}

// skipped are packages whose names are not ours to choose.
var skipped = []string{"/internal/cursor/pb"}

func main() {
	dir := flag.String("dir", ".", "root of the module")
	flag.Parse()
	names, err := unused(*dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "unused:", err)
		os.Exit(2)
	}
	for _, name := range names {
		fmt.Println(name + ": exported, but no other package uses it")
	}
	// 1 is a finding and 2 an error, as linters have it.
	if len(names) > 0 {
		os.Exit(1)
	}
}

// unused is the names, sorted, each with its package's path. An error is that the module does not compile.
func unused(dir string) ([]string, error) {
	loaded, err := packages.Load(&packages.Config{
		Dir: dir, Tests: true,
		Mode: packages.NeedName | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedSyntax | packages.NeedImports | packages.NeedDeps | packages.NeedFiles,
	}, "./...")
	if err != nil {
		return nil, err
	}
	if packages.PrintErrors(loaded) > 0 {
		return nil, fmt.Errorf("the module does not compile")
	}
	// Two passes: who uses what, over all packages with their tests; then what is left of each.
	used := map[string]bool{}    // "path.Name", by another package
	methods := map[string]bool{} // names of methods that are called or asked for outside of where they are declared
	for _, p := range loaded {
		for _, object := range p.TypesInfo.Uses {
			if object.Pkg() == nil || !object.Exported() {
				continue
			}
			// A method counts by its name alone: which type a call by way of an interface reaches is not known.
			f, isFunc := object.(*types.Func)
			if isFunc && f.Signature().Recv() != nil {
				if object.Pkg().Path() != p.PkgPath || types.IsInterface(f.Signature().Recv().Type()) {
					methods[f.Name()] = true
				}
				continue
			}
			if object.Pkg().Path() != p.PkgPath {
				used[object.Pkg().Path()+"."+object.Name()] = true
			}
		}
		// A type with a method that some interface asks for may be that interface, also where nobody says so.
		for _, object := range p.TypesInfo.Defs {
			// The name of a package clause, or the symbol of a type switch.
			if object == nil {
				continue
			}
			if t, ok := object.Type().Underlying().(*types.Interface); ok {
				for m := range t.Methods() {
					methods[m.Name()] = true
				}
			}
		}
	}
	var names []string
	for _, p := range loaded {
		// With Tests set, a package comes several times: as it is, and with its tests, under another ID.
		if p.ID != p.PkgPath || !strings.Contains(p.PkgPath, "/internal/") || p.Name == "main" || isSkipped(p.PkgPath) {
			continue // a test variant, or not ours to judge
		}
		// Whoever calls a function has its result, and need not name the type of it.
		mentioned := mentions(p.Types)
		for _, name := range p.Types.Scope().Names() {
			object := p.Types.Scope().Lookup(name)
			full := p.PkgPath + "." + name
			if !object.Exported() || allowed[full] != "" {
				continue
			}
			if c, ok := object.(*types.Const); ok && (ofExportedType(c) || groupUsed(p, name, used)) {
				continue
			}
			// A type is used, too, if a contract mentions it or if it is one of a closed set.
			typeName, isType := object.(*types.TypeName)
			if !used[full] && !(isType && (mentioned[typeName] || isMember(p.Types, typeName))) {
				names = append(names, full)
			}
			if !isType {
				continue
			}
			named, ok := typeName.Type().(*types.Named)
			if !ok || types.IsInterface(named) {
				continue
			}
			for m := range named.Methods() {
				if m.Exported() && !methods[m.Name()] && !wellKnown[m.Name()] && allowed[full+"."+m.Name()] == "" {
					names = append(names, full+"."+m.Name())
				}
			}
		}
	}
	// A package may come more than once, and with it its names.
	slices.Sort(names)
	return slices.Compact(names), nil
}

// wellKnown are methods that the standard library, or kong, finds by their names.
var wellKnown = map[string]bool{
	"String": true, "GoString": true, "Error": true, "Unwrap": true, "Is": true, "As": true, "Format": true, "LogValue": true,
	"MarshalText": true, "UnmarshalText": true, "MarshalJSON": true, "UnmarshalJSON": true, "MarshalBinary": true,
	"MarshalJSONTo": true, "UnmarshalJSONFrom": true, "IsZero": true, "BeforeResolve": true, "Validate": true, "Help": true, "Run": true,
	"Write": true, "Read": true, "Close": true, "Flush": true, "FlushError": true, "WriteHeader": true, "ServeHTTP": true,
}

// ofExportedType reports whether a constant is a value of an exported type: then the set of values belongs to the contract.
func ofExportedType(c *types.Const) bool {
	named, ok := c.Type().(*types.Named)
	return ok && named.Obj().Exported()
}

// groupUsed reports whether another constant of the declaration that a constant stands in is used.
func groupUsed(p *packages.Package, name string, used map[string]bool) bool {
	for _, file := range p.Syntax {
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			member, anyUsed := false, false
			for _, spec := range group.Specs {
				for _, id := range spec.(*ast.ValueSpec).Names {
					member = member || id.Name == name
					anyUsed = anyUsed || used[p.PkgPath+"."+id.Name]
				}
			}
			if member {
				return anyUsed
			}
		}
	}
	return false
}

// isMember reports whether a type belongs to a closed set: it implements an exported interface of its own package.
func isMember(p *types.Package, name *types.TypeName) bool {
	for _, other := range p.Scope().Names() {
		object, ok := p.Scope().Lookup(other).(*types.TypeName)
		if !ok || !object.Exported() || object == name {
			continue
		}
		if set, ok := object.Type().Underlying().(*types.Interface); ok && set.NumMethods() > 0 && types.Implements(name.Type(), set) {
			return true
		}
	}
	return false
}

// isSkipped reports whether a package's names are not ours to choose.
func isSkipped(path string) bool {
	return slices.ContainsFunc(skipped, func(s string) bool { return strings.HasSuffix(path, s) })
}

// mentions finds the types that exported functions, methods and fields of a package name.
func mentions(p *types.Package) map[*types.TypeName]bool {
	found := map[*types.TypeName]bool{}
	var visit func(t types.Type, depth int)
	visit = func(t types.Type, depth int) {
		// Types may refer to themselves; what is this deep nobody reads as part of a contract.
		if depth > 6 {
			return
		}
		switch t := t.(type) {
		case *types.Named:
			// What the named type consists of is its own package's to say, so its inside is not visited.
			found[t.Obj()] = true
			for arg := range t.TypeArgs().Types() {
				visit(arg, depth+1)
			}
		case *types.Pointer:
			visit(t.Elem(), depth+1)
		case *types.Slice:
			visit(t.Elem(), depth+1)
		case *types.Array:
			visit(t.Elem(), depth+1)
		case *types.Map:
			visit(t.Key(), depth+1)
			visit(t.Elem(), depth+1)
		case *types.Chan:
			visit(t.Elem(), depth+1)
		case *types.Signature:
			for v := range t.Params().Variables() {
				visit(v.Type(), depth+1)
			}
			for v := range t.Results().Variables() {
				visit(v.Type(), depth+1)
			}
		case *types.Struct:
			for f := range t.Fields() {
				if f.Exported() {
					visit(f.Type(), depth+1)
				}
			}
		case *types.Interface:
			for m := range t.Methods() {
				visit(m.Type(), depth+1)
			}
		}
	}
	for _, name := range p.Scope().Names() {
		object := p.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		if typeName, ok := object.(*types.TypeName); ok {
			visit(typeName.Type().Underlying(), 0)
			if named, ok := typeName.Type().(*types.Named); ok {
				for m := range named.Methods() {
					if m.Exported() {
						visit(m.Type(), 0)
					}
				}
			}
			continue
		}
		visit(object.Type(), 0)
	}
	return found
}
