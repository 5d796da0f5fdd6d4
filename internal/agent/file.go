package agent

import "slices"

// A File is a document that holds text which has to be taken out of it: a PDF. Backends see its
// text only. What is plain text in the first place is no File: surfaces make it a text, with
// [FileText]. Data belongs to the request and is not changed.
type File struct {
	Name string // as the client named it; "" when it didn't
	Data []byte
	// Param names the request field that the file came in, for errors.
	Param string
	// Fault says why the file can't be used; nil while nothing speaks against it. See [ReadFiles].
	Fault *Error
}

// MaxFileBytes bounds a file, decoded.
const MaxFileBytes = 20 << 20

// FileText is the text of a file as the model is shown it: with its name, if it has one.
func FileText(name, text string) string {
	if name == "" {
		return text
	}
	return "<file name=\"" + name + "\">\n" + text + "\n</file>\n"
}

// ReadFiles is messages with texts in the place of files, which read takes out of them. messages itself is not changed.
//
// A file that can't be used is an error only when the user has sent it just now, after the model
// last spoke, as it is with images: see [UnusableImage]. Of an older one the model gets a note.
// read is called once for each file, in the order of the messages, on the caller's goroutine.
func ReadFiles(messages []Message, read func(*File) (string, error)) ([]Message, error) {
	copied := false
	first := FirstNew(messages)
	for i := range messages {
		if !slices.ContainsFunc(messages[i].Parts, func(p Part) bool { return p.File != nil }) {
			continue
		}
		if !copied {
			messages, copied = slices.Clone(messages), true
		}
		m := &messages[i]
		m.Parts = slices.Clone(m.Parts)
		for j := range m.Parts {
			file := m.Parts[j].File
			if file == nil {
				continue
			}
			text, err := fileText(file, read)
			switch {
			case err == nil:
				m.Parts[j] = Part{Text: FileText(file.Name, text)}
			// A fault of ours, such as the end of the context, is an error in any case.
			case i >= first || !CodeOf(err).isRequests():
				return nil, err
			default:
				m.Parts[j] = Part{Text: "[There was a file here. " + AsError(err).UserMessage() + "]"}
			}
		}
	}
	return messages, nil
}

// fileText is the text of a file; its error is the fault, or that of read.
func fileText(f *File, read func(*File) (string, error)) (string, error) {
	if f.Fault != nil {
		return "", f.Fault
	}
	return read(f)
}

// isRequests reports whether an error is about what the client sent, so that the same again has the same error.
func (c Code) isRequests() bool { return c == InvalidValue || c == UnsupportedValue || c == TooLarge }
