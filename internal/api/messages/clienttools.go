package messages

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"composer-api/internal/agent"
)

// Anthropic has defined some tools that the client runs: requests name their type and leave the schema out, because the
// models know it. Ours don't, so they get it from here. Source: the reference pages of these tools.
//
// Tools of any other type run on Anthropic's servers (web search, code execution, MCP connectors) and are left out.

// A clientToolType is one of those tools.
//
// A tool of such a type is the client's to run like any other: only the schema is added here.
//
// The descriptions are ours: what the pages say, in the words that a model needs which has not been
// trained on the tool.
type clientToolType struct {
	family string // what the type begins with; the date of its version follows
	name   string // for a request that leaves it out
	// Both are what the model is told when the request has none: a sentence, and a JSON Schema.
	description string
	schema      string
}

// clientToolTypes are looked through in order, so that an older version can stand before the rest of its family.
// The families end before the date: "bash_2" is bash_20241022 and bash_20250124.
var clientToolTypes = []clientToolType{
	{
		family: "bash_2", name: "bash",
		description: "Runs a command in a bash shell that lives on between calls, so that its variables and its folder stay. Gives what the command printed.",
		schema: `{"type":"object","properties":{` +
			`"command":{"type":"string","description":"The command. Required unless the shell is restarted."},` +
			`"restart":{"type":"boolean","description":"True starts the shell anew, and runs no command."}}}`,
	},
	{
		family: "text_editor_20241022", name: "str_replace_editor",
		description: editorDescription, schema: fmt.Sprintf(editorSchema, `,"undo_edit"`),
	},
	{
		family: "text_editor_20250124", name: "str_replace_editor",
		description: editorDescription, schema: fmt.Sprintf(editorSchema, `,"undo_edit"`),
	},
	{
		family: "text_editor_2", name: "str_replace_based_edit_tool",
		description: editorDescription, schema: fmt.Sprintf(editorSchema, ""),
	},
	{
		family: "memory_2", name: "memory",
		description: "Keeps notes in files below /memories, from one conversation to the next. Look at /memories before you begin a task, and write down what will be needed again.",
		schema: `{"type":"object","properties":{` +
			`"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"]},` +
			`"path":{"type":"string","description":"A path below /memories. All commands but rename need it."},` +
			`"view_range":{"type":"array","items":{"type":"integer"},"description":"For view: the first and the last line."},` +
			`"file_text":{"type":"string","description":"For create: the whole file."},` +
			`"old_str":{"type":"string","description":"For str_replace: the text to replace, which must occur exactly once."},` +
			`"new_str":{"type":"string","description":"For str_replace: what takes its place."},` +
			`"insert_line":{"type":"integer","description":"For insert: the line to insert after; 0 is the beginning."},` +
			`"insert_text":{"type":"string","description":"For insert: the text."},` +
			`"old_path":{"type":"string","description":"For rename."},` +
			`"new_path":{"type":"string","description":"For rename."}},"required":["command"]}`,
	},
	{
		family: "computer_2", name: "computer",
		description: "Works with the screen, the mouse and the keyboard of a computer. Take a screenshot to see what is there, and after an action to see what it did. Coordinates are pixels from the top left corner.",
		schema: `{"type":"object","properties":{` +
			`"action":{"type":"string","enum":["screenshot","key","type","mouse_move","left_click","right_click","middle_click","double_click","triple_click",` +
			`"left_click_drag","left_mouse_down","left_mouse_up","scroll","hold_key","wait","cursor_position","zoom"]},` +
			`"coordinate":{"type":"array","items":{"type":"integer"},"description":"x and y of where the action takes place or ends."},` +
			`"start_coordinate":{"type":"array","items":{"type":"integer"},"description":"For left_click_drag: where it begins."},` +
			`"text":{"type":"string","description":"For type, the text; for key and hold_key, the keys, as in ctrl+s."},` +
			`"scroll_direction":{"type":"string","enum":["up","down","left","right"]},` +
			`"scroll_amount":{"type":"integer"},` +
			`"duration":{"type":"number","description":"For wait and hold_key: seconds."},` +
			`"region":{"type":"array","items":{"type":"integer"},"description":"For zoom: x0, y0, x1, y1."}},"required":["action"]}`,
	},
}

// editorDescription is that of all versions of the text editor.
const editorDescription = "Views, creates and edits text files. view shows a file with line numbers, or lists a folder; create writes a whole file; " +
	"str_replace replaces a text that occurs exactly once; insert puts text after a line."

// editorSchema is the schema of the text editor, a format with one argument: the commands of the older versions that newer ones
// lack, as JSON after a comma, or "".
const editorSchema = `{"type":"object","properties":{` +
	`"command":{"type":"string","enum":["view","create","str_replace","insert"%s]},` +
	`"path":{"type":"string","description":"The absolute path of the file or folder."},` +
	`"view_range":{"type":"array","items":{"type":"integer"},"description":"For view: the first and the last line; -1 is the end of the file."},` +
	`"file_text":{"type":"string","description":"For create: the whole file."},` +
	`"old_str":{"type":"string","description":"For str_replace: the text to replace, with its white space."},` +
	`"new_str":{"type":"string","description":"For str_replace: what takes its place; for insert, the text."},` +
	`"insert_text":{"type":"string","description":"For insert: the text."},` +
	`"insert_line":{"type":"integer","description":"For insert: the line to insert after; 0 is the beginning."}},"required":["command","path"]}`

// clientTool is the tool that a type stands for. It reports false for a type that the client doesn't run.
//
// A request may give the tool another name than the published one; the client gets its calls
// under that name.
func clientTool(t *wireTool) (agent.Tool, bool) {
	for i := range clientToolTypes {
		known := &clientToolTypes[i]
		// The first that fits.
		if !hasFamily(t.Type, known.family) {
			continue
		}
		tool := agent.Tool{Name: cmp.Or(t.Name, known.name), Description: known.description, Parameters: json.RawMessage(known.schema)}
		// Only the computer tool has them. The model needs them to say where to click.
		if t.Width != nil && t.Height != nil {
			tool.Description += fmt.Sprintf(" The screen is %d pixels wide and %d high.", *t.Width, *t.Height)
		}
		return tool, true
	}
	return agent.Tool{}, false
}

// hasFamily reports whether a tool's type is of a family.
//
// A version that comes after these, such as bash_20270101, so is known, too.
func hasFamily(typ, family string) bool { return strings.HasPrefix(typ, family) }
