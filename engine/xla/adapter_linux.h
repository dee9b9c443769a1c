#include <stddef.h>
#include <stdint.h>

// adapter_load loads a plugin and writes the table that adapts it to *api. It returns
// NULL, or why it could not, which the caller frees.
char *adapter_load(const char *path, void **api);

// adapter_library loads a shared library for those that are loaded later.
void adapter_library(const char *path);

// adapter_room tells how many bytes the first device of the last client has left; it
// returns 0 where the plugin does not know.
int adapter_room(int64_t *bytes);

// adapter_cached gives the next compilation a serialised executable to load in its
// place; adapter_serialise asks for that of the next compilation.
void adapter_cached(const void *bytes, size_t size);
void adapter_serialise(void);

// adapter_result tells what became of the last compilation: how many bytes of a
// serialised executable there are, which adapter_take copies, and whether the given one
// was loaded.
size_t adapter_result(int *loaded);
void adapter_take(void *to);
