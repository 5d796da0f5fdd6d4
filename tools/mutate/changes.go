package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// A change is a file with one small change in it.
type change struct {
	path string
	line int
	what string // for people: "a < b becomes a <= b"
	text []byte // the whole file
}

// operators are what each operator becomes. A change that the compiler refuses (a text has no minus) is dropped later.
var operators = map[token.Token]token.Token{
	token.EQL: token.NEQ, token.NEQ: token.EQL,
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
	token.LAND: token.LOR, token.LOR: token.LAND,
	token.ADD: token.SUB, token.SUB: token.ADD, token.MUL: token.QUO, token.QUO: token.MUL,
	token.SHL: token.SHR, token.SHR: token.SHL, token.AND: token.OR, token.OR: token.AND,
}

// assignments are the same for operators that assign.
var assignments = map[token.Token]token.Token{token.ADD_ASSIGN: token.SUB_ASSIGN, token.SUB_ASSIGN: token.ADD_ASSIGN}

// A finder collects the changes of one file.
type finder struct {
	path string
	src  []byte
	// set has the positions; src is the file's text, which nodes are cut out of.
	set     *token.FileSet
	changes []change
}

// changesOf lists all changes of a Go file, in the order of the file. A generated file has none.
func changesOf(path string, src []byte) ([]change, error) {
	f := &finder{path: path, src: src, set: token.NewFileSet()}
	file, err := parser.ParseFile(f.set, path, src, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(file) {
		return nil, nil
	}
	// Only bodies of functions: a declaration that is changed would mostly not compile.
	for _, d := range file.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
			ast.Inspect(fn.Body, f.visit)
		}
	}
	return f.changes, nil
}

// visit adds the changes of one node. It keeps out of what only people read: logs and panics.
func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ExprStmt:
		if f.isTalk(n.X) {
			return false
		}
		f.replace(n, "", "is left out")
	case *ast.AssignStmt:
		f.assign(n)
	case *ast.IncDecStmt:
		f.replace(n, "", "is left out")
	case *ast.DeferStmt:
		// A deferred function literal is changed inside, statement by statement.
		if _, literal := n.Call.Fun.(*ast.FuncLit); !literal {
			f.replace(n, "", "is left out")
		}
	case *ast.BranchStmt:
		// Without the goto or the labelled break, its label would be unused, and the file would not compile.
		if n.Label == nil && n.Tok != token.FALLTHROUGH {
			f.replace(n, "", "is left out")
		}
	// A return of values can't be left out: the function would lack one.
	case *ast.ReturnStmt:
		if len(n.Results) == 0 {
			f.replace(n, "", "is left out")
		}
	case *ast.IfStmt:
		f.replace(n.Cond, "!("+f.text(n.Cond)+")", "")
	case *ast.CaseClause:
		f.caseClause(n)
	case *ast.BinaryExpr:
		f.binary(n)
	}
	return true
}

// isTalk reports whether x is a call of a logger or of panic.
func (f *finder) isTalk(x ast.Expr) bool {
	call, ok := x.(*ast.CallExpr)
	if !ok {
		return false
	}
	// By its name, so that no types have to be loaded. "s.cfg.Log.Info" has "log." in it.
	name := f.text(call.Fun)
	return name == "panic" || strings.Contains(strings.ToLower(name), "log.")
}

// assign leaves an assignment out, or turns the one that adds into one that takes away. A := stays, because what it
// declares is used.
func (f *finder) assign(n *ast.AssignStmt) {
	if n.Tok == token.DEFINE {
		return
	}
	f.replace(n, "", "is left out")
	if other, ok := assignments[n.Tok]; ok {
		f.swap(n.TokPos, n.Tok, other, n)
	}
}

// caseClause negates the conditions of a switch without a tag, which are the ones that look like conditions.
func (f *finder) caseClause(n *ast.CaseClause) {
	for _, x := range n.List {
		switch b := x.(type) {
		case *ast.BinaryExpr:
			// Comparisons, and, or: what binds as loosely as a comparison or more so is a condition.
			if operators[b.Op] != 0 && b.Op.Precedence() <= token.LSS.Precedence() {
				f.replace(x, "!("+f.text(x)+")", "")
			}
		case *ast.UnaryExpr:
			if b.Op == token.NOT {
				f.replace(x, f.text(b.X), "")
			}
		}
	}
}

// binary changes an operator, and leaves out each side of "and" and "or".
func (f *finder) binary(n *ast.BinaryExpr) {
	if other, ok := operators[n.Op]; ok {
		f.swap(n.OpPos, n.Op, other, n)
	}
	// Each side alone: a test that gives only one of them a chance to matter is found so.
	if n.Op == token.LAND || n.Op == token.LOR {
		f.replace(n, f.text(n.X), "")
		f.replace(n, f.text(n.Y), "")
	}
}

// swap adds a change of the operator at pos, a part of whole.
func (f *finder) swap(pos token.Pos, from, to token.Token, whole ast.Node) {
	start := f.set.Position(pos).Offset
	begin, end := f.set.Position(whole.Pos()).Offset, f.set.Position(whole.End()).Offset
	// The operator stands in the file as it is printed, without blanks in it.
	length := len(from.String())
	after := string(f.src[begin:start]) + to.String() + string(f.src[start+length:end])
	f.add(start, start+length, to.String(), pos, short(f.text(whole))+" becomes "+short(after))
}

// replace adds a change of n into text. An empty what is made of both.
func (f *finder) replace(n ast.Node, text, what string) {
	if what == "" {
		what = "becomes " + short(text)
	}
	f.add(f.set.Position(n.Pos()).Offset, f.set.Position(n.End()).Offset, text, n.Pos(), short(f.text(n))+" "+what)
}

// add adds the change that puts text in the place of src[start:end].
func (f *finder) add(start, end int, text string, at token.Pos, what string) {
	f.changes = append(f.changes, change{
		path: f.path, line: f.set.Position(at).Line, what: what,
		text: bytes.Join([][]byte{f.src[:start], []byte(text), f.src[end:]}, nil),
	})
}

// text is a node as it stands in the file.
func (f *finder) text(n ast.Node) string {
	return string(f.src[f.set.Position(n.Pos()).Offset:f.set.Position(n.End()).Offset])
}

// short is text on one line, cut for a report.
func short(text string) string {
	const most = 80
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
