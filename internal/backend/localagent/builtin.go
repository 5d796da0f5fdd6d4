package localagent

import (
	"strings"
	"time"

	"composer-api/internal/backend/localagent/toolmap"
	"composer-api/internal/cursor/pb"
)

// A builtin is a request for one of Cursor's own tools: what it wants, and in which form its answers are.
// Upstream has a message of its own for the arguments and the result of each tool; this is what they have in
// common. What becomes of it is decided in callBuiltin.
//
//	exec            answered by a client's tool   refused
//	shell           success or failure            rejected
//	shell stream    start, stdout, exit           rejected
//	read            success or error              rejected
//	write, delete   success or error              rejected
//	ls              success or error              rejected
//	grep, fetch     success or error              error: they have no rejected
//	any other       never                         rejected, or an error
//
// The client's tools know nothing of upstream's forms, so the answers say no more than a text
// and whether it failed: no exit codes, no sizes but those that can be counted.
// The closures hold the request's message, so a builtin lives no longer than its exec.
type builtin struct {
	// name is the tool's name in refusals.
	name   string
	callID string      // upstream's id of the model's call; an edit reads and writes under one
	use    toolmap.Use // Kind 0: nothing that a client's tool could do
	// refuse makes the answer that says why the tool isn't available; the model reads the reason.
	refuse func(reason string) *pb.ExecClientMessage
	// answer makes the answer from the client's result. Nil when the tool is never mapped.
	answer func(o outcome) []*pb.ExecClientMessage
}

// An outcome is what a client's tool has returned, as far as a built-in's answer has room for it.
type outcome struct {
	text   string // its texts in one; images don't fit into a built-in's answer
	failed bool   // the client says that the tool failed
	ranged bool   // the tool was told which lines to read
}

// An answerMessage is one message of an answer to an exec. agentwire sets its id.
// A short name, because it stands in every line below.
type answerMessage = pb.ExecClientMessage

// builtinOf reads a request for a built-in tool; nil when it isn't one that we know.
//
//	mapped, if the client has such a tool   shell, read, write, delete, grep, ls, fetch
//	known, and refused                      a redacted read, and those of neverMapped
//	not known                               nil; doExec throws
//
// It reads no more than which tool is meant and what for; nothing is done here.
func builtinOf(m *pb.ExecServerMessage) *builtin {
	switch args := m.GetMessage().(type) {
	case *pb.ExecServerMessage_ShellArgs:
		return shell(args.ShellArgs)
	case *pb.ExecServerMessage_ShellStreamArgs:
		return shellStream(args.ShellStreamArgs)
	case *pb.ExecServerMessage_ReadArgs:
		return read(args.ReadArgs, func(r *pb.ReadResult) *answerMessage {
			return &answerMessage{Message: &pb.ExecClientMessage_ReadResult{ReadResult: r}}
		})
	case *pb.ExecServerMessage_RedactedReadArgs:
		b := read(args.RedactedReadArgs, func(r *pb.ReadResult) *answerMessage {
			return &answerMessage{Message: &pb.ExecClientMessage_RedactedReadResult{RedactedReadResult: r}}
		})
		b.use.Kind = 0 // nobody here would redact it
		return b
	case *pb.ExecServerMessage_WriteArgs:
		return write(args.WriteArgs)
	case *pb.ExecServerMessage_DeleteArgs:
		return deletion(args.DeleteArgs)
	case *pb.ExecServerMessage_GrepArgs:
		return grep(args.GrepArgs)
	case *pb.ExecServerMessage_LsArgs:
		return listing(args.LsArgs)
	case *pb.ExecServerMessage_FetchArgs:
		return fetch(args.FetchArgs)
	}
	return neverMapped(m)
}

// neverMapped are the built-in tools that no client has anything like. Each is refused in its
// own form. An entry here has no answer, because nobody could ever give one.
func neverMapped(m *pb.ExecServerMessage) *builtin {
	switch args := m.GetMessage().(type) {
	case *pb.ExecServerMessage_DiagnosticsArgs:
		return &builtin{name: "diagnostics", refuse: func(reason string) *answerMessage {
			return &answerMessage{Message: &pb.ExecClientMessage_DiagnosticsResult{DiagnosticsResult: &pb.DiagnosticsResult{
				Result: &pb.DiagnosticsResult_Rejected{Rejected: &pb.PathRejected{Path: args.DiagnosticsArgs.GetPath(), Reason: reason}},
			}}}
		}}
	case *pb.ExecServerMessage_BackgroundShellSpawnArgs:
		return &builtin{name: "background shell", refuse: func(reason string) *answerMessage {
			a := args.BackgroundShellSpawnArgs
			return &answerMessage{Message: &pb.ExecClientMessage_BackgroundShellSpawnResult{BackgroundShellSpawnResult: &pb.BackgroundShellSpawnResult{
				Result: &pb.BackgroundShellSpawnResult_Rejected{Rejected: &pb.ShellRejected{
					Command: a.GetCommand(), WorkingDirectory: a.GetWorkingDirectory(), Reason: reason,
				}},
			}}}
		}}
	// This one and grep and fetch have no rejected in their result, only an error.
	case *pb.ExecServerMessage_WriteShellStdinArgs:
		return &builtin{name: "shell input", refuse: func(reason string) *answerMessage {
			return &answerMessage{Message: &pb.ExecClientMessage_WriteShellStdinResult{WriteShellStdinResult: &pb.WriteShellStdinResult{
				Result: &pb.WriteShellStdinResult_Error{Error: &pb.ToolError{Error: reason}},
			}}}
		}}
	case *pb.ExecServerMessage_ListMcpResourcesExecArgs:
		return &builtin{name: "list MCP resources", refuse: func(reason string) *answerMessage {
			return &answerMessage{Message: &pb.ExecClientMessage_ListMcpResourcesExecResult{ListMcpResourcesExecResult: &pb.ListMcpResourcesExecResult{
				Result: &pb.ListMcpResourcesExecResult_Rejected{Rejected: &pb.Reason{Reason: reason}},
			}}}
		}}
	case *pb.ExecServerMessage_ReadMcpResourceExecArgs:
		return &builtin{name: "read MCP resource", refuse: func(reason string) *answerMessage {
			return &answerMessage{Message: &pb.ExecClientMessage_ReadMcpResourceExecResult{ReadMcpResourceExecResult: &pb.ReadMcpResourceExecResult{
				Result: &pb.ReadMcpResourceExecResult_Rejected{Rejected: &pb.ReadMcpResourceRejected{
					Uri: args.ReadMcpResourceExecArgs.GetUri(), Reason: reason,
				}},
			}}}
		}}
	}
	return nil
}

// useShell is what a shell command asks for. Upstream's timeout is in milliseconds. A timeout of 0 is none.
func useShell(a *pb.ShellArgs) toolmap.Use {
	return toolmap.Use{
		Kind: toolmap.Shell, Command: a.GetCommand(), Dir: a.GetWorkingDirectory(), Description: a.GetDescription(),
		Timeout: time.Duration(a.GetTimeout()) * time.Millisecond, Background: a.GetIsBackground(),
	}
}

// rejectedShell is the refusal of a command, for both forms of the shell.
func rejectedShell(a *pb.ShellArgs, reason string) *pb.ShellRejected {
	return &pb.ShellRejected{Command: a.GetCommand(), WorkingDirectory: a.GetWorkingDirectory(), Reason: reason}
}

// shell is a command whose output comes in one piece. A client's tool reports no exit code, so a failure is
// 1. The text of a failure is in Stdout, because the client's tool doesn't tell its two outputs apart.
func shell(a *pb.ShellArgs) *builtin {
	message := func(r *pb.ShellResult) *answerMessage {
		return &answerMessage{Message: &pb.ExecClientMessage_ShellResult{ShellResult: r}}
	}
	return &builtin{
		name: "shell", callID: a.GetToolCallId(), use: useShell(a),
		refuse: func(reason string) *answerMessage {
			return message(&pb.ShellResult{Result: &pb.ShellResult_Rejected{Rejected: rejectedShell(a, reason)}})
		},
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{message(&pb.ShellResult{Result: &pb.ShellResult_Failure{Failure: &pb.ShellFailure{
					Command: a.GetCommand(), WorkingDirectory: a.GetWorkingDirectory(), ExitCode: 1, Stdout: o.text,
				}}})}
			}
			return []*answerMessage{message(&pb.ShellResult{Result: &pb.ShellResult_Success{Success: &pb.ShellSuccess{
				Command: a.GetCommand(), WorkingDirectory: a.GetWorkingDirectory(), Stdout: o.text,
			}}})}
		},
	}
}

// shellStream is shell with its answer in several messages: a start, the output in one piece,
// the exit. The exit code is in the last one. The folder after the command is given as the one
// before: where the command has gone can't be known.
func shellStream(a *pb.ShellArgs) *builtin {
	message := func(s *pb.ShellStream) *answerMessage {
		return &answerMessage{Message: &pb.ExecClientMessage_ShellStream{ShellStream: s}}
	}
	return &builtin{
		name: "shell", callID: a.GetToolCallId(), use: useShell(a),
		refuse: func(reason string) *answerMessage {
			return message(&pb.ShellStream{Event: &pb.ShellStream_Rejected{Rejected: rejectedShell(a, reason)}})
		},
		answer: func(o outcome) []*answerMessage {
			// All three messages go out at once: the client's tool gives its output when it has
			// ended, so there is nothing to stream.
			exit := &pb.ShellStreamExit{Cwd: a.GetWorkingDirectory()}
			if o.failed {
				exit.Code = 1
			}
			return []*answerMessage{
				message(&pb.ShellStream{Event: &pb.ShellStream_Start{Start: &pb.ShellStreamStart{}}}),
				message(&pb.ShellStream{Event: &pb.ShellStream_Stdout{Stdout: &pb.ShellStreamData{Data: o.text}}}),
				message(&pb.ShellStream{Event: &pb.ShellStream_Exit{Exit: exit}}),
			}
		},
	}
}

// read is the reading of a file. message wraps its result, because two kinds of exec share it.
//
// Which lines came is upstream's to know when the tool was told (RangeApplied); otherwise the
// text counts as the whole file.
func read(a *pb.ReadArgs, message func(*pb.ReadResult) *answerMessage) *builtin {
	return &builtin{
		name: "read", callID: a.GetToolCallId(),
		use: toolmap.Use{Kind: toolmap.Read, Path: a.GetPath(), Offset: int(a.GetOffset()), Limit: int(a.GetLimit())},
		refuse: func(reason string) *answerMessage {
			return message(&pb.ReadResult{Result: &pb.ReadResult_Rejected{Rejected: &pb.PathRejected{Path: a.GetPath(), Reason: reason}}})
		},
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{message(&pb.ReadResult{Result: &pb.ReadResult_Error{Error: &pb.PathError{Path: a.GetPath(), Error: o.text}}})}
			}
			success := &pb.ReadSuccess{
				Path: a.GetPath(), Output: &pb.ReadSuccess_Content{Content: o.text}, RangeApplied: o.ranged,
			}
			if !o.ranged { // of a part nobody knows how large the whole is
				success.TotalLines, success.FileSize = int32(strings.Count(o.text, "\n")+1), int64(len(o.text))
			}
			return []*answerMessage{message(&pb.ReadResult{Result: &pb.ReadResult_Success{Success: success}})}
		},
	}
}

// write is the writing of a whole file. Its answer has the number of lines and bytes that were asked for; the
// client's tool doesn't report them.
func write(a *pb.WriteArgs) *builtin {
	message := func(r *pb.WriteResult) *answerMessage {
		return &answerMessage{Message: &pb.ExecClientMessage_WriteResult{WriteResult: r}}
	}
	b := &builtin{
		name: "write", callID: a.GetToolCallId(),
		use: toolmap.Use{Kind: toolmap.Write, Path: a.GetPath(), Content: a.GetFileText()},
		refuse: func(reason string) *answerMessage {
			return message(&pb.WriteResult{Result: &pb.WriteResult_Rejected{Rejected: &pb.PathRejected{Path: a.GetPath(), Reason: reason}}})
		},
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{message(&pb.WriteResult{Result: &pb.WriteResult_Error{Error: &pb.PathError{Path: a.GetPath(), Error: o.text}}})}
			}
			return []*answerMessage{message(&pb.WriteResult{Result: &pb.WriteResult_Success{Success: &pb.WriteSuccess{
				Path: a.GetPath(), LinesCreated: int32(strings.Count(a.GetFileText(), "\n") + 1), FileSize: int32(len(a.GetFileText())),
			}}})}
		},
	}
	if len(a.GetFileBytes()) > 0 {
		// The model is told so, and writes the file in another way.
		b.use.Kind = 0 // not text, which is all that a client's tool takes
	}
	return b
}

// deletion is the deletion of a file. That the file is gone is all that the success says: its
// content before is not known here.
func deletion(a *pb.DeleteArgs) *builtin {
	message := func(r *pb.DeleteResult) *answerMessage {
		return &answerMessage{Message: &pb.ExecClientMessage_DeleteResult{DeleteResult: r}}
	}
	return &builtin{
		name: "delete", callID: a.GetToolCallId(),
		use: toolmap.Use{Kind: toolmap.Delete, Path: a.GetPath()},
		refuse: func(reason string) *answerMessage {
			return message(&pb.DeleteResult{Result: &pb.DeleteResult_Rejected{Rejected: &pb.PathRejected{Path: a.GetPath(), Reason: reason}}})
		},
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{message(&pb.DeleteResult{Result: &pb.DeleteResult_Error{Error: &pb.PathError{Path: a.GetPath(), Error: o.text}}})}
			}
			return []*answerMessage{message(&pb.DeleteResult{Result: &pb.DeleteResult_Success{Success: &pb.DeleteSuccess{
				Path: a.GetPath(), DeletedFile: a.GetPath(),
			}}})}
		},
	}
}

// grep is a search through files. The client's tool gets every option that it has a parameter
// for; see package toolmap.
func grep(a *pb.GrepArgs) *builtin {
	failure := func(reason string) *answerMessage { // there is no form for a refusal
		return &answerMessage{Message: &pb.ExecClientMessage_GrepResult{GrepResult: &pb.GrepResult{
			Result: &pb.GrepResult_Error{Error: &pb.ToolError{Error: reason}},
		}}}
	}
	return &builtin{
		name: "grep", callID: a.GetToolCallId(),
		use: toolmap.Use{
			Kind: toolmap.Grep, Pattern: a.GetPattern(), Path: a.GetPath(), Glob: a.GetGlob(), FileType: a.GetType(),
			OutputMode: a.GetOutputMode(), Before: int(a.GetContextBefore()), After: int(a.GetContextAfter()), Context: int(a.GetContext()),
			IgnoreCase: a.GetCaseInsensitive(), Multiline: a.GetMultiline(),
			HeadLimit: int(a.GetHeadLimit()), Skip: int(a.GetOffset()), Sort: a.GetSort(),
		},
		refuse: failure,
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{failure(o.text)}
			}
			return []*answerMessage{{Message: &pb.ExecClientMessage_GrepResult{GrepResult: &pb.GrepResult{
				Result: &pb.GrepResult_Success{Success: &pb.GrepSuccess{
					Pattern: a.GetPattern(), Path: a.GetPath(), OutputMode: a.GetOutputMode(),
					WorkspaceResults: map[string]*pb.GrepUnionResult{a.GetPath(): found(a, o.text)},
				}},
			}}}}
		},
	}
}

// found is the output of a search in upstream's form. It is taken apart where it looks like
// grep's; otherwise each line is a match in the path that was searched. The numbers of lines
// count what came, not what there would have been without a limit.
func found(a *pb.GrepArgs, output string) *pb.GrepUnionResult {
	lines := toolmap.Lines(output)
	// Each line is the name of a file, whatever it looks like.
	if a.GetOutputMode() == "files_with_matches" {
		return &pb.GrepUnionResult{Result: &pb.GrepUnionResult_Files{Files: &pb.GrepFilesResult{
			Files: lines, TotalFiles: int32(len(lines)),
		}}}
	}
	content := &pb.GrepContentResult{TotalLines: int32(len(lines)), TotalMatchedLines: int32(len(lines))}
	// ok is false when one line has another form than "path:12:text".
	matches, ok := toolmap.Matches(output)
	if !ok {
		for _, line := range lines {
			matches = append(matches, toolmap.Match{File: a.GetPath(), Text: line})
		}
	}
	for _, match := range matches {
		last := len(content.Matches) - 1
		// Matches of one file stand together in grep's output, so only the last group is looked at.
		if last < 0 || content.Matches[last].GetFile() != match.File {
			content.Matches = append(content.Matches, &pb.GrepFileMatch{File: match.File})
			last++
		}
		file := content.Matches[last]
		file.Matches = append(file.Matches, &pb.GrepContentMatch{LineNumber: int32(match.Line), Content: match.Text})
	}
	return &pb.GrepUnionResult{Result: &pb.GrepUnionResult_Content{Content: content}}
}

// listing is the listing of a folder. Each line that the client's tool returned becomes a file
// of that folder: which of them are folders can't be known. An ignored pattern is passed on if
// the client's tool takes one.
func listing(a *pb.LsArgs) *builtin {
	message := func(r *pb.LsResult) *answerMessage {
		return &answerMessage{Message: &pb.ExecClientMessage_LsResult{LsResult: r}}
	}
	return &builtin{
		name: "ls", callID: a.GetToolCallId(),
		use: toolmap.Use{Kind: toolmap.List, Path: a.GetPath(), Ignore: a.GetIgnore()},
		refuse: func(reason string) *answerMessage {
			return message(&pb.LsResult{Result: &pb.LsResult_Rejected{Rejected: &pb.PathRejected{Path: a.GetPath(), Reason: reason}}})
		},
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{message(&pb.LsResult{Result: &pb.LsResult_Error{Error: &pb.PathError{Path: a.GetPath(), Error: o.text}}})}
			}
			// One level is all that there is: a client's tool lists one folder.
			root := &pb.LsDirectoryTreeNode{AbsPath: a.GetPath(), ChildrenWereProcessed: true}
			for _, line := range toolmap.Lines(o.text) {
				root.ChildrenFiles = append(root.ChildrenFiles, &pb.LsDirectoryTreeNode_File{Name: line})
			}
			root.NumFiles = int32(len(root.ChildrenFiles))
			return []*answerMessage{message(&pb.LsResult{Result: &pb.LsResult_Success{Success: &pb.LsSuccess{DirectoryTreeRoot: root}}})}
		},
	}
}

// fetch is the reading of a web page. A page that came is a 200: the client's tool doesn't say the status.
func fetch(a *pb.FetchArgs) *builtin {
	failure := func(reason string) *answerMessage { // there is no form for a refusal
		return &answerMessage{Message: &pb.ExecClientMessage_FetchResult{FetchResult: &pb.FetchResult{
			Result: &pb.FetchResult_Error{Error: &pb.FetchError{Url: a.GetUrl(), Error: reason}},
		}}}
	}
	return &builtin{
		name: "fetch", callID: a.GetToolCallId(), use: toolmap.Use{Kind: toolmap.Fetch, URL: a.GetUrl()},
		refuse: failure,
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{failure(o.text)}
			}
			return []*answerMessage{{Message: &pb.ExecClientMessage_FetchResult{FetchResult: &pb.FetchResult{
				Result: &pb.FetchResult_Success{Success: &pb.FetchSuccess{Url: a.GetUrl(), Content: o.text, StatusCode: 200}},
			}}}}
		},
	}
}
