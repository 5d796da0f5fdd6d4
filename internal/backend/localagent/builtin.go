package localagent

import (
	"strings"
	"time"

	"composer-api/internal/cursorpb"
	"composer-api/internal/toolmap"
)

// A builtin is a request for one of Cursor's own tools: what it wants, and in which form its answers are.
type builtin struct {
	name   string      // as refusals call it
	callID string      // upstream's id of the model's call; an edit reads and writes under one
	use    toolmap.Use // Kind 0: nothing that a client's tool could do
	refuse func(reason string) *cursorpb.ExecClientMessage
	// answer is the client's result in the built-in's form. Nil when it is never mapped.
	answer func(o outcome) []*cursorpb.ExecClientMessage
}

// An outcome is what a client's tool said.
type outcome struct {
	text   string
	failed bool
	ranged bool // the tool was told which lines to read
}

type answerMessage = cursorpb.ExecClientMessage

// builtinOf reads a request for a built-in tool; nil when it isn't one that we know.
func builtinOf(m *cursorpb.ExecServerMessage) *builtin {
	switch args := m.GetMessage().(type) {
	case *cursorpb.ExecServerMessage_ShellArgs:
		return shell(args.ShellArgs)
	case *cursorpb.ExecServerMessage_ShellStreamArgs:
		return shellStream(args.ShellStreamArgs)
	case *cursorpb.ExecServerMessage_ReadArgs:
		return read(args.ReadArgs, func(r *cursorpb.ReadResult) *answerMessage {
			return &answerMessage{Message: &cursorpb.ExecClientMessage_ReadResult{ReadResult: r}}
		})
	case *cursorpb.ExecServerMessage_RedactedReadArgs:
		b := read(args.RedactedReadArgs, func(r *cursorpb.ReadResult) *answerMessage {
			return &answerMessage{Message: &cursorpb.ExecClientMessage_RedactedReadResult{RedactedReadResult: r}}
		})
		b.use.Kind = 0 // nobody here would redact it
		return b
	case *cursorpb.ExecServerMessage_WriteArgs:
		return write(args.WriteArgs)
	case *cursorpb.ExecServerMessage_DeleteArgs:
		return deletion(args.DeleteArgs)
	case *cursorpb.ExecServerMessage_GrepArgs:
		return grep(args.GrepArgs)
	case *cursorpb.ExecServerMessage_LsArgs:
		return listing(args.LsArgs)
	case *cursorpb.ExecServerMessage_FetchArgs:
		return fetch(args.FetchArgs)
	}
	return neverMapped(m)
}

// neverMapped are the built-in tools for which a client has nothing of the kind.
func neverMapped(m *cursorpb.ExecServerMessage) *builtin {
	switch args := m.GetMessage().(type) {
	case *cursorpb.ExecServerMessage_DiagnosticsArgs:
		return &builtin{name: "diagnostics", refuse: func(reason string) *answerMessage {
			return &answerMessage{Message: &cursorpb.ExecClientMessage_DiagnosticsResult{DiagnosticsResult: &cursorpb.DiagnosticsResult{
				Result: &cursorpb.DiagnosticsResult_Rejected{Rejected: &cursorpb.PathRejected{Path: args.DiagnosticsArgs.GetPath(), Reason: reason}},
			}}}
		}}
	case *cursorpb.ExecServerMessage_BackgroundShellSpawnArgs:
		return &builtin{name: "background shell", refuse: func(reason string) *answerMessage {
			a := args.BackgroundShellSpawnArgs
			return &answerMessage{Message: &cursorpb.ExecClientMessage_BackgroundShellSpawnResult{BackgroundShellSpawnResult: &cursorpb.BackgroundShellSpawnResult{
				Result: &cursorpb.BackgroundShellSpawnResult_Rejected{Rejected: &cursorpb.ShellRejected{
					Command: a.GetCommand(), WorkingDirectory: a.GetWorkingDirectory(), Reason: reason,
				}},
			}}}
		}}
	case *cursorpb.ExecServerMessage_WriteShellStdinArgs:
		return &builtin{name: "shell input", refuse: func(reason string) *answerMessage {
			return &answerMessage{Message: &cursorpb.ExecClientMessage_WriteShellStdinResult{WriteShellStdinResult: &cursorpb.WriteShellStdinResult{
				Result: &cursorpb.WriteShellStdinResult_Error{Error: &cursorpb.ToolError{Error: reason}},
			}}}
		}}
	case *cursorpb.ExecServerMessage_ListMcpResourcesExecArgs:
		return &builtin{name: "list MCP resources", refuse: func(reason string) *answerMessage {
			return &answerMessage{Message: &cursorpb.ExecClientMessage_ListMcpResourcesExecResult{ListMcpResourcesExecResult: &cursorpb.ListMcpResourcesExecResult{
				Result: &cursorpb.ListMcpResourcesExecResult_Rejected{Rejected: &cursorpb.Reason{Reason: reason}},
			}}}
		}}
	case *cursorpb.ExecServerMessage_ReadMcpResourceExecArgs:
		return &builtin{name: "read MCP resource", refuse: func(reason string) *answerMessage {
			return &answerMessage{Message: &cursorpb.ExecClientMessage_ReadMcpResourceExecResult{ReadMcpResourceExecResult: &cursorpb.ReadMcpResourceExecResult{
				Result: &cursorpb.ReadMcpResourceExecResult_Rejected{Rejected: &cursorpb.ReadMcpResourceRejected{
					Uri: args.ReadMcpResourceExecArgs.GetUri(), Reason: reason,
				}},
			}}}
		}}
	}
	return nil
}

// useShell is what a shell command asks for.
func useShell(a *cursorpb.ShellArgs) toolmap.Use {
	return toolmap.Use{
		Kind: toolmap.Shell, Command: a.GetCommand(), Dir: a.GetWorkingDirectory(), Description: a.GetDescription(),
		Timeout: time.Duration(a.GetTimeout()) * time.Millisecond, Background: a.GetIsBackground(),
	}
}

func rejectedShell(a *cursorpb.ShellArgs, reason string) *cursorpb.ShellRejected {
	return &cursorpb.ShellRejected{Command: a.GetCommand(), WorkingDirectory: a.GetWorkingDirectory(), Reason: reason}
}

func shell(a *cursorpb.ShellArgs) *builtin {
	message := func(r *cursorpb.ShellResult) *answerMessage {
		return &answerMessage{Message: &cursorpb.ExecClientMessage_ShellResult{ShellResult: r}}
	}
	return &builtin{
		name: "shell", callID: a.GetToolCallId(), use: useShell(a),
		refuse: func(reason string) *answerMessage {
			return message(&cursorpb.ShellResult{Result: &cursorpb.ShellResult_Rejected{Rejected: rejectedShell(a, reason)}})
		},
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{message(&cursorpb.ShellResult{Result: &cursorpb.ShellResult_Failure{Failure: &cursorpb.ShellFailure{
					Command: a.GetCommand(), WorkingDirectory: a.GetWorkingDirectory(), ExitCode: 1, Stdout: o.text,
				}}})}
			}
			return []*answerMessage{message(&cursorpb.ShellResult{Result: &cursorpb.ShellResult_Success{Success: &cursorpb.ShellSuccess{
				Command: a.GetCommand(), WorkingDirectory: a.GetWorkingDirectory(), Stdout: o.text,
			}}})}
		},
	}
}

// shellStream is shell with its answer in pieces.
func shellStream(a *cursorpb.ShellArgs) *builtin {
	message := func(s *cursorpb.ShellStream) *answerMessage {
		return &answerMessage{Message: &cursorpb.ExecClientMessage_ShellStream{ShellStream: s}}
	}
	return &builtin{
		name: "shell", callID: a.GetToolCallId(), use: useShell(a),
		refuse: func(reason string) *answerMessage {
			return message(&cursorpb.ShellStream{Event: &cursorpb.ShellStream_Rejected{Rejected: rejectedShell(a, reason)}})
		},
		answer: func(o outcome) []*answerMessage {
			exit := &cursorpb.ShellStreamExit{Cwd: a.GetWorkingDirectory()}
			if o.failed {
				exit.Code = 1
			}
			return []*answerMessage{
				message(&cursorpb.ShellStream{Event: &cursorpb.ShellStream_Start{Start: &cursorpb.ShellStreamStart{}}}),
				message(&cursorpb.ShellStream{Event: &cursorpb.ShellStream_Stdout{Stdout: &cursorpb.ShellStreamData{Data: o.text}}}),
				message(&cursorpb.ShellStream{Event: &cursorpb.ShellStream_Exit{Exit: exit}}),
			}
		},
	}
}

func read(a *cursorpb.ReadArgs, message func(*cursorpb.ReadResult) *answerMessage) *builtin {
	return &builtin{
		name: "read", callID: a.GetToolCallId(),
		use: toolmap.Use{Kind: toolmap.Read, Path: a.GetPath(), Offset: int(a.GetOffset()), Limit: int(a.GetLimit())},
		refuse: func(reason string) *answerMessage {
			return message(&cursorpb.ReadResult{Result: &cursorpb.ReadResult_Rejected{Rejected: &cursorpb.PathRejected{Path: a.GetPath(), Reason: reason}}})
		},
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{message(&cursorpb.ReadResult{Result: &cursorpb.ReadResult_Error{Error: &cursorpb.PathError{Path: a.GetPath(), Error: o.text}}})}
			}
			success := &cursorpb.ReadSuccess{
				Path: a.GetPath(), Output: &cursorpb.ReadSuccess_Content{Content: o.text}, RangeApplied: o.ranged,
			}
			if !o.ranged { // of a part nobody knows how large the whole is
				success.TotalLines, success.FileSize = int32(strings.Count(o.text, "\n")+1), int64(len(o.text))
			}
			return []*answerMessage{message(&cursorpb.ReadResult{Result: &cursorpb.ReadResult_Success{Success: success}})}
		},
	}
}

func write(a *cursorpb.WriteArgs) *builtin {
	message := func(r *cursorpb.WriteResult) *answerMessage {
		return &answerMessage{Message: &cursorpb.ExecClientMessage_WriteResult{WriteResult: r}}
	}
	b := &builtin{
		name: "write", callID: a.GetToolCallId(),
		use: toolmap.Use{Kind: toolmap.Write, Path: a.GetPath(), Content: a.GetFileText()},
		refuse: func(reason string) *answerMessage {
			return message(&cursorpb.WriteResult{Result: &cursorpb.WriteResult_Rejected{Rejected: &cursorpb.PathRejected{Path: a.GetPath(), Reason: reason}}})
		},
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{message(&cursorpb.WriteResult{Result: &cursorpb.WriteResult_Error{Error: &cursorpb.PathError{Path: a.GetPath(), Error: o.text}}})}
			}
			return []*answerMessage{message(&cursorpb.WriteResult{Result: &cursorpb.WriteResult_Success{Success: &cursorpb.WriteSuccess{
				Path: a.GetPath(), LinesCreated: int32(strings.Count(a.GetFileText(), "\n") + 1), FileSize: int32(len(a.GetFileText())),
			}}})}
		},
	}
	if len(a.GetFileBytes()) > 0 {
		b.use.Kind = 0 // not text, which is all that a client's tool takes
	}
	return b
}

func deletion(a *cursorpb.DeleteArgs) *builtin {
	message := func(r *cursorpb.DeleteResult) *answerMessage {
		return &answerMessage{Message: &cursorpb.ExecClientMessage_DeleteResult{DeleteResult: r}}
	}
	return &builtin{
		name: "delete", callID: a.GetToolCallId(),
		use: toolmap.Use{Kind: toolmap.Delete, Path: a.GetPath()},
		refuse: func(reason string) *answerMessage {
			return message(&cursorpb.DeleteResult{Result: &cursorpb.DeleteResult_Rejected{Rejected: &cursorpb.PathRejected{Path: a.GetPath(), Reason: reason}}})
		},
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{message(&cursorpb.DeleteResult{Result: &cursorpb.DeleteResult_Error{Error: &cursorpb.PathError{Path: a.GetPath(), Error: o.text}}})}
			}
			return []*answerMessage{message(&cursorpb.DeleteResult{Result: &cursorpb.DeleteResult_Success{Success: &cursorpb.DeleteSuccess{
				Path: a.GetPath(), DeletedFile: a.GetPath(),
			}}})}
		},
	}
}

func grep(a *cursorpb.GrepArgs) *builtin {
	failure := func(reason string) *answerMessage { // there is no form for a refusal
		return &answerMessage{Message: &cursorpb.ExecClientMessage_GrepResult{GrepResult: &cursorpb.GrepResult{
			Result: &cursorpb.GrepResult_Error{Error: &cursorpb.ToolError{Error: reason}},
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
			return []*answerMessage{{Message: &cursorpb.ExecClientMessage_GrepResult{GrepResult: &cursorpb.GrepResult{
				Result: &cursorpb.GrepResult_Success{Success: &cursorpb.GrepSuccess{
					Pattern: a.GetPattern(), Path: a.GetPath(), OutputMode: a.GetOutputMode(),
					WorkspaceResults: map[string]*cursorpb.GrepUnionResult{a.GetPath(): found(a, o.text)},
				}},
			}}}}
		},
	}
}

// found is a search's output in upstream's form. Lines that can't be taken apart go whole, under the path that was
// searched.
func found(a *cursorpb.GrepArgs, output string) *cursorpb.GrepUnionResult {
	lines := toolmap.Lines(output)
	if a.GetOutputMode() == "files_with_matches" {
		return &cursorpb.GrepUnionResult{Result: &cursorpb.GrepUnionResult_Files{Files: &cursorpb.GrepFilesResult{
			Files: lines, TotalFiles: int32(len(lines)),
		}}}
	}
	content := &cursorpb.GrepContentResult{TotalLines: int32(len(lines)), TotalMatchedLines: int32(len(lines))}
	matches, ok := toolmap.Matches(output)
	if !ok {
		for _, line := range lines {
			matches = append(matches, toolmap.Match{File: a.GetPath(), Text: line})
		}
	}
	for _, match := range matches {
		last := len(content.Matches) - 1
		if last < 0 || content.Matches[last].GetFile() != match.File {
			content.Matches = append(content.Matches, &cursorpb.GrepFileMatch{File: match.File})
			last++
		}
		file := content.Matches[last]
		file.Matches = append(file.Matches, &cursorpb.GrepContentMatch{LineNumber: int32(match.Line), Content: match.Text})
	}
	return &cursorpb.GrepUnionResult{Result: &cursorpb.GrepUnionResult_Content{Content: content}}
}

func listing(a *cursorpb.LsArgs) *builtin {
	message := func(r *cursorpb.LsResult) *answerMessage {
		return &answerMessage{Message: &cursorpb.ExecClientMessage_LsResult{LsResult: r}}
	}
	return &builtin{
		name: "ls", callID: a.GetToolCallId(),
		use: toolmap.Use{Kind: toolmap.List, Path: a.GetPath(), Ignore: a.GetIgnore()},
		refuse: func(reason string) *answerMessage {
			return message(&cursorpb.LsResult{Result: &cursorpb.LsResult_Rejected{Rejected: &cursorpb.PathRejected{Path: a.GetPath(), Reason: reason}}})
		},
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{message(&cursorpb.LsResult{Result: &cursorpb.LsResult_Error{Error: &cursorpb.PathError{Path: a.GetPath(), Error: o.text}}})}
			}
			root := &cursorpb.LsDirectoryTreeNode{AbsPath: a.GetPath(), ChildrenWereProcessed: true}
			for _, line := range toolmap.Lines(o.text) {
				root.ChildrenFiles = append(root.ChildrenFiles, &cursorpb.LsDirectoryTreeNode_File{Name: line})
			}
			root.NumFiles = int32(len(root.ChildrenFiles))
			return []*answerMessage{message(&cursorpb.LsResult{Result: &cursorpb.LsResult_Success{Success: &cursorpb.LsSuccess{DirectoryTreeRoot: root}}})}
		},
	}
}

func fetch(a *cursorpb.FetchArgs) *builtin {
	failure := func(reason string) *answerMessage { // there is no form for a refusal
		return &answerMessage{Message: &cursorpb.ExecClientMessage_FetchResult{FetchResult: &cursorpb.FetchResult{
			Result: &cursorpb.FetchResult_Error{Error: &cursorpb.FetchError{Url: a.GetUrl(), Error: reason}},
		}}}
	}
	return &builtin{
		name: "fetch", callID: a.GetToolCallId(), use: toolmap.Use{Kind: toolmap.Fetch, URL: a.GetUrl()},
		refuse: failure,
		answer: func(o outcome) []*answerMessage {
			if o.failed {
				return []*answerMessage{failure(o.text)}
			}
			return []*answerMessage{{Message: &cursorpb.ExecClientMessage_FetchResult{FetchResult: &cursorpb.FetchResult{
				Result: &cursorpb.FetchResult_Success{Success: &cursorpb.FetchSuccess{Url: a.GetUrl(), Content: o.text, StatusCode: 200}},
			}}}}
		},
	}
}
