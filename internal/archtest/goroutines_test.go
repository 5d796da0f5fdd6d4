package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// A goroutine is a place where one is started: a go statement, the Go of a WaitGroup, or an AfterFunc.
type goroutine struct {
	// catches says who catches its panics: "itself", or a function of its package that it calls and that does (one of
	// another package with the package's name before it). A panic that nobody catches ends the process, and with it the
	// runs of everybody. "nothing" is for what passes something on in a line or two: its why says so.
	catches string
	// waits says who waits for its end, or why nobody needs to.
	waits string
	why   string
}

// goroutines are all of the product's, by the function that starts them; a number is for the second in one function.
// Tests, and packages for tests, may start what they like.
var goroutines = map[string]goroutine{
	// The process.
	"cli UntilSignal":        {catches: "nothing", waits: "the process ends anyway", why: "stop of signal.NotifyContext"},
	"cli serveCmd.Run":       {catches: "itself", waits: "nobody: it ends with the command's context"},
	"cli serveCmd.serve":     {catches: "nothing", waits: "Server.Close ends it", why: "net/http catches what handlers do"},
	"cli serveCmd.serve 2":   {catches: "nothing", waits: "Server.Shutdown ends it", why: "net/http catches what handlers do"},
	"cli serveCmd.serve 3":   {catches: "nothing", waits: "Peers.Shutdown ends it", why: "net/http catches what handlers do"},
	"cli serveCmd.serve 4":   {catches: "nothing", waits: "Server.Close ends it", why: "net/http catches what handlers do"},
	"replica lease.begin":    {catches: "renew", waits: "Peers.Shutdown"},
	"replica Peers.alive":    {catches: "nothing", waits: "the timer is stopped when the other replica has answered", why: "it only cancels a context"},
	"cli newLogQueue":        {catches: "itself", waits: "logQueue.Close, for a second: the place that it writes to may take nothing any more"},
	"cli bridgeCmd.Run":      {catches: "nothing", waits: "Server.Shutdown ends it", why: "net/http catches what handlers do"},
	"cli Instance.sweep":     {catches: "sweepOnce", waits: "ShutDown"},
	"keyring within":         {catches: "itself", waits: "within, or nobody: a keyring can't be interrupted, and it is asked once, at the start"},
	"cli Instance.keepAlive": {catches: "itself", waits: "ShutDown"},

	// A turn.
	"gateway Gateway.Turn":             {catches: "nothing", waits: "AfterFunc's stop, when the turn ends", why: "it only cancels a context"},
	"gateway Gateway.Close":            {catches: "nothing", waits: "Close", why: "it waits for the turns, and closes a channel"},
	"gateway Gateway.wait":             {catches: "itself", waits: "Close"},
	"gateway Gateway.closeOrphans":     {catches: "itself", waits: "Close"},
	"gateway turn.acceptInTime":        {catches: "itself", waits: "acceptance.end, when the first output is there"},
	"gateway probe.result":             {catches: "ask", waits: "those who ask for the result; it ends by its time-out, and with the gateway"},
	"gateway/control Run.open":         {catches: "nothing", waits: "AfterFunc's stop, when start returns", why: "it only cancels a context"},
	"gateway/catalog Catalog.live":     {catches: "itself", waits: "those who ask for the list; it ends by its time-out"},
	"gateway/imagefetch Fetcher.Fetch": {catches: "prepareAll", waits: "Fetch"},
	"gateway/park Lot.end":             {catches: "gateway.endWaiting", waits: "Close"},
	"gateway/park Lot.schedule":        {catches: "itself", waits: "nobody: it holds the lock, and Close stops the timer"},

	// Surfaces.
	"sse NewWriter":                               {catches: "itself", waits: "nobody: it holds the lock, and Close stops the timer"},
	"api/responses/service New":                   {catches: "renewLeases", waits: "Close"},
	"api/responses/service Service.startJob":      {catches: "work", waits: "Drain and Close"},
	"api/responses/service job.run":               {catches: "itself", waits: "run"},
	"api/responses/service job.run 2":             {catches: "itself", waits: "run"},
	"api/responses/service Service.Close":         {catches: "nothing", waits: "Close stops the timer", why: "it only cancels a context"},
	"api/responses/service socket.serve":          {catches: "itself", waits: "serve"},
	"api/responses/service socket.enqueue":        {catches: "runLane", waits: "serve"},
	"api/responses/service socket.closeGoingAway": {catches: "itself", waits: "serve"},
	"api/responses/service socket.readMessage":    {catches: "nothing", waits: "AfterFunc's stop, when the message is read", why: "it only cancels a context"},

	// HTTP/2.
	"h2client newConn":        {catches: "itself", waits: "nobody: it only looks after the connection, whose end stops it"},
	"h2client newConn 2":      {catches: "itself", waits: "nobody: it only looks after the connection, whose end stops it"},
	"h2client newConn 3":      {catches: "itself", waits: "nobody: Close closes the connection that it reads"},
	"h2client conn.kick":      {catches: "itself", waits: "nobody: it ends when nothing is left to write, and with the connection"},
	"h2client conn.RoundTrip": {catches: "nothing", waits: "AfterFunc's stop, when the stream ends", why: "it only resets the stream"},

	// Ways to a model.
	"backend/localagent pacer.arm":             {catches: "ring", waits: "nobody: a timer without alarms rings once more"},
	"backend/localagent run.readInBackground":  {catches: "itself", waits: "nobody: Close closes the stream that it reads"},
	"backend/localagent run.closeInBackground": {catches: "itself", waits: "nobody: it ends when the transport has let go"},
	"backend/localagent run.watch":             {catches: "leftTurn", waits: "nobody: it closes the stream"},
	"backend/localagent run.attempt":           {catches: "nothing", waits: "AfterFunc's stop, when the attempt is made", why: "it only cancels a context"},
	"backend/localagent openStream":            {catches: "nothing", waits: "AfterFunc's stop, when the stream is open", why: "it only cancels a context"},
	"backend/localagent openStream 2":          {catches: "nothing", waits: "the timer is stopped when the stream is open", why: "it only cancels a context"},
	"backend/localagent pool.beginDial":        {catches: "connect", waits: "those who want the connection; it ends by its time-out"},
	"backend/localagent pool.retire":           {catches: "nothing", waits: "nobody: it ends when the connection is closed", why: "it closes one connection"},
	"backend/replay Send":                      {catches: "nothing", waits: "AfterFunc's stop, when the headers are there", why: "it only cancels a context"},
	"backend/replay Send 2":                    {catches: "nothing", waits: "the timer is stopped when the headers are there", why: "it only cancels a context"},
	"backend/replay Send 3":                    {catches: "nothing", waits: "nobody: it ends when the body is closed", why: "the body is a reader of bytes, or the caller's own pipe"},
	"backend/localagent opening.refusal":       {catches: "nothing", waits: "nobody: the stream that it closes ends with the refusal", why: "it only closes a body"},
	"backend/replay Exchange.Refusal":          {catches: "nothing", waits: "the timer is stopped when the body is read", why: "it only cancels a context"},
	"backend/replay Exchange.Read":             {catches: "nothing", waits: "the timer is stopped after the read", why: "it only cancels a context"},
	"backend/replay Exchange.Progressed":       {catches: "nothing", waits: "the timer is stopped with the exchange", why: "it only cancels a context"},
	"backend/replay Exchange.Progressed 2":     {catches: "nothing", waits: "nobody: it ends at once", why: "it stops a timer"},
	"backend/replay Exchange.Stream":           {catches: "itself", waits: "nobody: Close closes the body that it reads"},
	"backend/replay Run.reopen":                {catches: "nothing", waits: "AfterFunc's stop, when the answer is open", why: "it only cancels a context"},
	"backend/sdkbridge Backend.poolOf":         {catches: "tidy", waits: "Close"},
	"backend/sdkbridge Backend.startFor":       {catches: "start", waits: "those who want the bridge, and Close"},
	"backend/sdkbridge Backend.start":          {catches: "exited", waits: "Close"},
	"backend/sdkbridge Backend.retire":         {catches: "itself", waits: "Close"},
	"backend/sdkbridge Backend.dropIfEmpty":    {catches: "itself", waits: "Close"},
	"backend/sdkbridge Backend.tidy":           {catches: "check", waits: "Close"},
	"backend/sdkbridge after":                  {catches: "nothing", waits: "nobody: it ends at once", why: "it closes a channel"},
	"backend/sdkbridge worker.delete":          {catches: "itself", waits: "the bridge's end"},
	"backend/sdkbridge begin":                  {catches: "itself", waits: "abandon"},
	"bridgeserver carrier.carry":               {catches: "nothing", waits: "AfterFunc's stop, when the request ends", why: "it only cancels a request"},
	"bridgeserver carrier.carry 2":             {catches: "itself", waits: "nobody: it ends when the outgoing frames are closed"},

	// Cursor's wire.
	"cursor/auth Client.cached":            {catches: "ask", waits: "those who want the token; it ends by its time-out"},
	"cursor/bridgechild child.start":       {catches: "itself", waits: "nobody: it ends with the process whose output it reads"},
	"cursor/bridgechild child.launch":      {catches: "itself", waits: "Close, by the channel that it closes"},
	"cursor/bridgeinstall Installer.watch": {catches: "itself", waits: "the end of the download"},
	"cursor/sdkv1 NewCallbackServer":       {catches: "nothing", waits: "Close", why: "net/http catches what handlers do"},

	// What is kept.
	"store/sqlstore DB.ready":          {catches: "migrateOnce", waits: "schema.end"},
	"store/sqlstore connector.Connect": {catches: "try", waits: "Close"},
	"store/sqlstore connector.keep":    {catches: "drop", waits: "nobody: Close stops the timer, or it closes one connection"},
	"store/sqlstore wire.announce":     {catches: "notify", waits: "Close"},
	"store/sqlstore wire.begin":        {catches: "session", waits: "Close"},

	// The simulator: whoever tests with it wants to see its panics.
	"sim/cursorsim Sim.Serve":    {catches: "nothing", waits: "Serve", why: "net/http catches what handlers do"},
	"sim/cursorsim Sim.Serve 2":  {catches: "nothing", waits: "Serve", why: "net/http catches what handlers do"},
	"sim/cursorsim Sim.runHTTP2": {catches: "nothing", waits: "runHTTP2", why: "it is the simulator's"},
}

// forTests are packages that only tests use.
var forTests = []string{"agent/agenttest", "certificate/certificatetest", "backend/backendtest", "store/storetest", "api/apitest", "api/responses/responsestest", "sim/bridgesim", "upgrade/upgradetest", "memnet", "golden", "archtest"}

// mostUncaught is how many statements may run where nobody catches. What grows beyond it needs somebody who does.
const mostUncaught = 2

func TestEveryGoroutineIsCaughtAndWaitedFor(t *testing.T) {
	packages := parsePackages(t)
	seen := map[string]bool{}
	for name, p := range packages {
		for _, start := range p.starts {
			key := name + " " + start.in
			for n := 2; seen[key]; n++ {
				key = fmt.Sprintf("%s %s %d", name, start.in, n)
			}
			seen[key] = true
			g, listed := goroutines[key]
			if !listed {
				t.Errorf("%s: %q is not in the table: say who catches its panics and who waits for it", start.at, key)
				continue
			}
			if err := check(packages, name, start, g); err != nil {
				t.Errorf("%s: %q: %v", start.at, key, err)
			}
		}
	}
	for key := range goroutines {
		if !seen[key] {
			t.Errorf("%q is in the table, and nothing is started there", key)
		}
	}
}

func check(packages map[string]*syntax, name string, s start, g goroutine) error {
	p := packages[name]
	switch body := p.bodyOf(s.runs); {
	case g.waits == "":
		return fmt.Errorf("nobody is said to wait for it")
	case g.catches == "nothing" && g.why == "":
		return fmt.Errorf("nobody catches its panics, and nothing says why")
	case g.catches == "nothing":
		if body != nil && len(body.List) > mostUncaught {
			return fmt.Errorf("it has grown to %d statements, and nobody catches their panics", len(body.List))
		}
	case g.catches == "itself":
		if body == nil || !p.catches(body) {
			return fmt.Errorf("it defers nothing that recovers")
		}
	default:
		other, function := p, g.catches
		if i := strings.LastIndex(function, "."); i >= 0 {
			other, function = packages[function[:i]], function[i+1:]
		} else if body != nil && !mentions(body, function) {
			return fmt.Errorf("it does not call %s", function)
		}
		if other == nil || !slices.ContainsFunc(other.functions[function], func(f *ast.FuncDecl) bool { return other.catches(f.Body) }) {
			return fmt.Errorf("%s defers nothing that recovers", g.catches)
		}
	}
	return nil
}

// A syntax is what the test knows of a package.
type syntax struct {
	functions map[string][]*ast.FuncDecl // by name, whatever they are methods of
	starts    []start
}

// A start is a place where a goroutine is started.
type start struct {
	in   string // the function
	at   token.Position
	runs ast.Expr // a function literal, or the function that is named
}

func parsePackages(t *testing.T) map[string]*syntax {
	packages := map[string]*syntax{}
	fset := token.NewFileSet()
	for _, name := range files(t) {
		folder := path.Dir(name)
		short := strings.TrimPrefix(folder, "internal/")
		product := strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "cmd/")
		data := read(t, name)
		if !product || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || slices.Contains(forTests, short) || data == nil || isGenerated(data) {
			continue
		}
		file, err := parser.ParseFile(fset, name, data, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		p := packages[short]
		if p == nil {
			p = &syntax{functions: map[string][]*ast.FuncDecl{}}
			packages[short] = p
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Body != nil {
				p.functions[f.Name.Name] = append(p.functions[f.Name.Name], f)
				p.starts = append(p.starts, startsIn(fset, f)...)
			}
		}
	}
	return packages
}

// startsIn lists what a function starts, in order.
func startsIn(fset *token.FileSet, f *ast.FuncDecl) []start {
	name := f.Name.Name
	if f.Recv != nil {
		receiver := f.Recv.List[0].Type
		if pointer, ok := receiver.(*ast.StarExpr); ok {
			receiver = pointer.X
		}
		switch generic := receiver.(type) {
		case *ast.IndexExpr:
			receiver = generic.X
		case *ast.IndexListExpr:
			receiver = generic.X
		}
		name = receiver.(*ast.Ident).Name + "." + name
	}
	var starts []start
	ast.Inspect(f.Body, func(n ast.Node) bool {
		var runs ast.Expr
		switch n := n.(type) {
		case *ast.GoStmt:
			runs = n.Call.Fun
		case *ast.CallExpr:
			selector, ok := n.Fun.(*ast.SelectorExpr)
			switch {
			case !ok:
			case selector.Sel.Name == "Go" && len(n.Args) == 1:
				runs = n.Args[0]
			case selector.Sel.Name == "AfterFunc" && len(n.Args) == 2:
				runs = n.Args[1]
			}
		}
		if runs != nil {
			starts = append(starts, start{in: name, at: fset.Position(n.Pos()), runs: runs})
		}
		return true
	})
	return starts
}

// bodyOf is what is run; nil when it is of another package.
func (p *syntax) bodyOf(runs ast.Expr) *ast.BlockStmt {
	switch f := runs.(type) {
	case *ast.FuncLit:
		return f.Body
	case *ast.Ident:
		return p.onlyBody(f.Name)
	case *ast.SelectorExpr:
		return p.onlyBody(f.Sel.Name)
	}
	return nil
}

func (p *syntax) onlyBody(function string) *ast.BlockStmt {
	if found := p.functions[function]; len(found) == 1 {
		return found[0].Body
	}
	return nil // none, or which of several the parser can't tell
}

// catches reports whether a function defers, at its own level, something that recovers: agent.CatchPanic, a literal, or a
// function of the package.
func (p *syntax) catches(body *ast.BlockStmt) bool {
	for _, statement := range body.List {
		deferred, ok := statement.(*ast.DeferStmt)
		if !ok {
			continue
		}
		switch f := deferred.Call.Fun.(type) {
		case *ast.FuncLit:
			if mentions(f.Body, "recover") {
				return true
			}
		case *ast.SelectorExpr:
			if f.Sel.Name == "CatchPanic" || p.recovers(f.Sel.Name) {
				return true
			}
		case *ast.Ident:
			if p.recovers(f.Name) {
				return true
			}
		}
	}
	return false
}

func (p *syntax) recovers(function string) bool {
	return slices.ContainsFunc(p.functions[function], func(f *ast.FuncDecl) bool { return mentions(f.Body, "recover") })
}

// mentions reports whether a name is used somewhere in a body.
func mentions(body *ast.BlockStmt, name string) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id.Name == name {
			found = true
		}
		return !found
	})
	return found
}
