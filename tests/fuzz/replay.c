/* SPDX-License-Identifier: ISC */
/*
 * replay: run every file of the given folders (or files) through a fuzz
 * target, so that kept corpora are tests. Exits 1 when a folder is missing
 * or nothing was replayed.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX_OCTETS (4U << 20)

static size_t
replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct buf in;
	char chunk[4096];
	size_t n;

	if (file == NULL) {
		perror(path);
		exit(1);
	}
	buf_init(&in, INPUT_MAX_OCTETS);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		buf_add(&in, chunk, n);
	(void)fclose(file);
	(void)LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&in).p,
	    buf_str(&in).len);
	buf_fini(&in);
	return 1;
}

static size_t
replay_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char name[1024];
	size_t done = 0;

	if (dir == NULL) {
		perror(path);
		exit(1);
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", path,
		    entry->d_name);
		done += replay_file(name);
	}
	(void)closedir(dir);
	return done;
}

int
main(int argc, char **argv)
{
	struct stat st;
	size_t done = 0;
	int i;

	for (i = 1; i < argc; i++) {
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			done += replay_dir(argv[i]);
		else
			done += replay_file(argv[i]);
	}
	printf("%zu inputs replayed\n", done);
	return done != 0 ? 0 : 1;
}
