package plugin_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/entangle-nas/entangle/engine/xla/plugin"
)

// What is installed beside the Python on PATH.
func Example() {
	found, err := plugin.Find(context.Background(), plugin.Search{Getenv: os.Getenv})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found.Path, len(found.Libraries()), found.CUDAData())
}
