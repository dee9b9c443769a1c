package importer

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// scanner walks the wire form of a message without building anything.
type scanner struct {
	limits   Limits
	messages int
}

// message checks b as a message of type md. path names it, base is its offset in
// the file, depth its nesting.
func (s *scanner) message(b []byte, md protoreflect.MessageDescriptor, path string, base, depth int) error {
	if depth > s.limits.Depth {
		return fmt.Errorf("%s: nested %d messages deep: want at most %d", short(path), depth, s.limits.Depth)
	}
	if s.messages++; s.messages > s.limits.Messages {
		return fmt.Errorf("%s: more than %d messages in the file", short(path), s.limits.Messages)
	}
	fields := md.Fields()
	var count map[protoreflect.FieldNumber]int
	for at := 0; at < len(b); {
		num, typ, n := protowire.ConsumeTag(b[at:])
		if n < 0 {
			return fmt.Errorf("%s: byte %d: malformed protobuf: %w", short(path), base+at, protowire.ParseError(n))
		}
		start := at + n
		n = protowire.ConsumeFieldValue(num, typ, b[start:])
		if n < 0 {
			return fmt.Errorf("%s: byte %d: field %s: malformed or truncated protobuf: %w", short(path), base+at, fieldName(fields, num), protowire.ParseError(n))
		}
		at = start + n
		if num == placeField {
			return fmt.Errorf("%s: byte %d: field %d: want one that protobuf lets message types define", short(path), base+start, num)
		}
		fd := fields.ByNumber(num)
		if fd == nil || fd.Message() == nil || typ != protowire.BytesType {
			continue
		}
		sub := path + "." + string(fd.Name())
		if fd.IsList() {
			if count == nil {
				count = map[protoreflect.FieldNumber]int{}
			}
			sub = fmt.Sprintf("%s[%d]", sub, count[num])
			count[num]++
		}
		body, _ := protowire.ConsumeBytes(b[start:])
		if err := s.message(body, fd.Message(), sub, base+at-len(body), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func fieldName(fields protoreflect.FieldDescriptors, num protoreflect.FieldNumber) string {
	if fd := fields.ByNumber(num); fd != nil {
		return string(fd.Name())
	}
	return fmt.Sprint(int(num))
}

// short keeps the ends of the path of a deeply nested message.
func short(path string) string {
	const n = 120
	if len(path) <= 2*n {
		return path
	}
	return path[:n] + "…" + path[len(path)-n:]
}
