package toolmap

// A role is what a parameter is for, whatever it is called. Each is a field of Use, and Use.values gives its value.
// Names of parameters differ from client to client, roles don't: the rules translate between the
// two.
type role uint8

const (
	// The roles are the fields of Use that a parameter can stand for.
	command role = iota + 1
	dir
	timeout
	description
	background
	path
	content
	offset
	limit
	pattern
	glob
	fileType
	outputMode
	before
	after
	around
	ignoreCase
	multiline
	headLimit
	skip
	sorting
	ignore
	url
)

// A rule says which tools of clients do the same as a built-in tool. A name alone isn't enough: the tool's schema must have a place
// for everything that the use asks for, or the rule must say that it may be left out.
//
// Rules are only read, by any number of goroutines.
type rule struct {
	tools []string // names of tools that do the same, simplified, the likeliest first
	// params are looked at in this order, in which an offset stands before its limit.
	params []param
}

// A param is one parameter that a use may have a value for. A parameter of a rule that is neither
// required nor optional may be missing in the client's tool as long as the use has no value for it.
// For example a use with a value for glob and a client's grep without such a parameter: the search
// would find too much, so the tool doesn't fit and the call is refused.
type param struct {
	// role is the value that it takes.
	role  role
	names []string // what clients call it, simplified, the likeliest first
	// required: a tool without this parameter is another kind of tool, whatever its name.
	required bool
	// optional: it may be left out when the client's tool has no place for it, because the result is the same or a longer one.
	optional bool
	// fit turns the value into what the client's parameter accepts; nil means fitPlain.
	fit func(any, *property) (any, bool)
	// otherwise is the value when the client requires one and the use has none.
	otherwise func(*Use) any
}

// What clients call the path of a file, and of a folder.
var pathNames = []string{"path", "filepath", "file", "filename", "absolutepath", "targetfile", "relativepath"}

// dirNames are the names that clients give to a folder, for several rules.
var dirNames = []string{"path", "dir", "directory", "dirpath", "directorypath", "folder", "targetdirectory", "relativeworkspacepath"}

// rules is the table. Names are simplified: lower case, letters and digits only, without the prefix of an MCP server. They are
// those of tools that real agents offer. To add one, look at what its tool does with each parameter: a call that does something else
// than the model asked for is worse than a refusal, after which the model uses the client's tool itself.
var rules = map[Kind]rule{
	Shell: {
		tools: []string{
			"bash", "shell", "execcommand", "runcommand", "runshellcommand", "executecommand", "runterminalcmd",
			"runterminalcommand", "runinterminal", "terminal", "shellcommand", "localshell", "exec", "sh",
		},
		params: []param{
			{role: command, names: []string{"command", "cmd", "commandline", "script"}, required: true, fit: fitCommand},
			{role: dir, names: []string{"workdir", "cwd", "workingdirectory", "workingdir", "directory", "dir"}},
			{role: timeout, names: []string{"timeout", "timeoutms", "timeoutseconds", "timeoutsec"}, optional: true, fit: fitTimeout},
			{role: description, names: []string{"description", "explanation", "justification"}, optional: true, otherwise: describe},
			// Not optional: a command that was to run in the background would otherwise hold the
			// client until its time is over.
			{role: background, names: []string{"isbackground", "background", "runinbackground"}, otherwise: foreground},
		},
	},
	Read: {
		tools: []string{"read", "readfile", "viewfile", "view", "openfile", "fileread", "cat"},
		params: []param{
			{role: path, names: pathNames, required: true},
			{role: offset, names: []string{"offset", "startline", "start"}, optional: true, fit: fitOffset},
			{role: limit, names: []string{"limit", "lines", "maxlines", "numlines"}, optional: true},
		},
	},
	// A tool named "edit" takes the old text and the new one; it is no way to write a whole file.
	Write: {
		// Not among them: edit, create (which may refuse a file that is there), patch.
		tools: []string{"write", "writefile", "writetofile", "filewrite"},
		params: []param{
			{role: path, names: pathNames, required: true},
			{role: content, names: []string{"content", "contents", "text", "filetext"}, required: true},
		},
	},
	Delete: {
		tools:  []string{"delete", "deletefile", "removefile", "filedelete"},
		params: []param{{role: path, names: pathNames, required: true}},
	},
	Grep: {
		tools: []string{"grep", "grepsearch", "ripgrep", "searchfilecontent", "searchfiles"},
		params: []param{
			{role: pattern, names: []string{"pattern", "regex", "query"}, required: true},
			{role: path, names: dirNames},
			{role: glob, names: []string{"glob", "include", "includepattern", "filepattern"}},
			{role: fileType, names: []string{"type"}},
			{role: outputMode, names: []string{"outputmode"}},
			{role: before, names: []string{"-B", "beforecontext", "contextbefore"}},
			{role: after, names: []string{"-A", "aftercontext", "contextafter"}},
			{role: around, names: []string{"-C", "context", "contextlines"}},
			{role: ignoreCase, names: []string{"-i", "ignorecase", "caseinsensitive"}},
			{role: multiline, names: []string{"multiline"}},
			// More output than was asked for does no harm; without skip, though, the first lines
			// would come again.
			{role: headLimit, names: []string{"headlimit", "limit", "maxresults"}, optional: true},
			{role: skip, names: []string{"offset"}},
			{role: sorting, names: []string{"sort"}, optional: true},
		},
	},
	List: {
		// Not among them: glob, which doesn't list folders.
		tools: []string{"ls", "list", "listdir", "listdirectory", "listfiles"},
		params: []param{
			{role: path, names: dirNames, required: true},
			{role: ignore, names: []string{"ignore", "exclude"}, optional: true},
		},
	},
	Fetch: {
		tools:  []string{"webfetch", "fetch", "fetchurl", "fetchwebpage"},
		params: []param{{role: url, names: []string{"url", "uri"}, required: true}},
	},
}
