/* A stand-in for Pyxis, NVIDIA's container plug-in for Slurm, which Debian does not have. It takes
 * the options of Pyxis that evalc writes, and runs each task of a step chroot'ed into an image, with
 * the mounts that were asked for. For tests; it isolates nothing that wants to get out.
 *
 * In plugstack.conf: required .../pyxis_stub.so image=FOLDER
 *
 * An image that is a path (it begins with / or ./) is a folder or a squashfs file. Any other is a
 * registry's; none is asked: FOLDER stands for all of them, as long as Pyxis would understand the
 * name. As there, the registry ends with '#': Docker Hub is asked for what has none.
 *
 * As with Pyxis the image's PATH wins over the job's unless --container-env names it, and a mount
 * whose source is missing is an error that names it. What Pyxis has and this lacks: pulling and
 * caching, entry points, environment variables of the image other than PATH, user namespaces
 * (the task stays the user it is, and remap-root does nothing), named and saved containers, root
 * file systems that are read-only, GPU hooks, and containers for batch scripts. Each task has a
 * container of its own here; those of one step share theirs in Pyxis. Options that are not in the
 * table are refused by srun as unknown.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <sched.h>
#include <slurm/slurm.h>
#include <slurm/spank.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

SPANK_PLUGIN(pyxis_stub, 1)

enum { IMAGE, MOUNTS, WORKDIR, ENV, MOUNT_HOME, NO_MOUNT_HOME, REMAP_ROOT, NO_REMAP_ROOT, WRITABLE, COUNT };

static char *value[COUNT]; /* "" for an option that takes none; NULL when it was not given */

static int given(int which, const char *argument, int remote)
{
	(void)remote;
	free(value[which]);
	value[which] = strdup(argument ? argument : "");
	return value[which] ? 0 : -1;
}

static struct spank_option options[] = {
	{"container-image", "[USER@][REGISTRY#]IMAGE[:TAG]|PATH", "[stand-in for pyxis] the image", 1, IMAGE, given},
	{"container-mounts", "SRC:DST[:FLAGS][,...]", "[stand-in for pyxis] bind mounts", 1, MOUNTS, given},
	{"container-workdir", "PATH", "[stand-in for pyxis] working directory", 1, WORKDIR, given},
	{"container-env", "NAME[,NAME...]", "[stand-in for pyxis] variables that win over the image's", 1, ENV, given},
	{"container-mount-home", NULL, "[stand-in for pyxis] mount the home directory", 0, MOUNT_HOME, given},
	{"no-container-mount-home", NULL, "[stand-in for pyxis] do not, the default", 0, NO_MOUNT_HOME, given},
	{"container-remap-root", NULL, "[stand-in for pyxis] accepted", 0, REMAP_ROOT, given},
	{"no-container-remap-root", NULL, "[stand-in for pyxis] accepted", 0, NO_REMAP_ROOT, given},
	{"container-writable", NULL, "[stand-in for pyxis] accepted; it always is", 0, WRITABLE, given},
	SPANK_OPTIONS_TABLE_END,
};

int slurm_spank_init(spank_t spank, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	if (spank_context() == S_CTX_ALLOCATOR) /* sbatch and salloc: no container for them */
		return 0;
	for (struct spank_option *option = options; option->name; option++)
		if (spank_option_register(spank, option) != ESPANK_SUCCESS)
			return -1;
	return 0;
}

#define FAIL(...) do { slurm_error("pyxis stand-in: " __VA_ARGS__); return -1; } while (0)

/* Makes a place to mount something on: folders up to it, and itself, a folder or an empty file. */
static int make_place(const char *path, int folder)
{
	char part[PATH_MAX];
	FILE *file;

	if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
		FAIL("path too long: %s", path);
	for (char *slash = part + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = 0;
		mkdir(part, 0755);
	}
	if (folder)
		mkdir(part, 0755);
	else if ((file = fopen(part, "a")))
		fclose(file);
	return 0; /* what could not be made, mount complains about */
}

static int bind_mount(const char *root, const char *source, const char *target, int read_only)
{
	struct stat status;
	char place[PATH_MAX];

	if (stat(source, &status))
		FAIL("couldn't start container: failed to mount: %s at %s: %m", source, target);
	if (target[0] != '/')
		FAIL("couldn't start container: mount target is not absolute: %s", target);
	if (snprintf(place, sizeof place, "%s%s", root, target) >= (int)sizeof place)
		FAIL("path too long: %s", target);
	if (make_place(place, S_ISDIR(status.st_mode)))
		return -1;
	if (mount(source, place, NULL, MS_BIND | MS_REC, NULL))
		FAIL("couldn't start container: failed to mount: %s at %s: %m", source, target);
	if (read_only && mount(NULL, place, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL))
		FAIL("couldn't start container: failed to make read-only: %s: %m", target);
	return 0;
}

/* SRC:DST[:FLAGS] or SRC alone, separated by commas; FLAGS are separated by '+', as enroot has it. */
static int bind_all(const char *root, const char *list)
{
	char *rest = strdup(list), *next = rest, *entry;

	while ((entry = strsep(&next, ","))) {
		char *source = strsep(&entry, ":");
		char *target = strsep(&entry, ":");
		int read_only = 0;

		if (!*source || (target && !*target))
			FAIL("invalid format for --container-mounts: %s", list);
		for (char *flag; (flag = strsep(&entry, "+"));) {
			read_only |= !strcmp(flag, "ro");
			if (strcmp(flag, "ro") && strcmp(flag, "rw"))
				FAIL("invalid flag in --container-mounts: %s", flag);
		}
		if (bind_mount(root, source, target ? target : source, read_only))
			return -1;
	}
	free(rest);
	return 0;
}

/* The path of an image; NULL, with an error, for a name that Pyxis would not find in a registry. */
static const char *find_image(const char *name, const char *stand_in)
{
	const char *slash;

	if (name[0] == '/' || !strncmp(name, "./", 2))
		return name;
	if (!strncmp(name, "docker://", 9))
		name += 9;
	slash = strchr(name, '/');
	if (!strchr(name, '#') && slash && memchr(name, '.', slash - name)) {
		slurm_error("pyxis stand-in: failed to import docker image: %s: no such repository on Docker "
			    "Hub (a registry is separated by '#')", name);
		return NULL;
	}
	return stand_in;
}

static int mount_squashfs(const char *file, const char *place)
{
	int status;
	pid_t child = fork();

	if (!child) {
		execl("/bin/mount", "mount", "-t", "squashfs", "-o", "loop,ro", file, place, (char *)NULL);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status)
		FAIL("couldn't start container: not a squashfs file: %s", file);
	return 0;
}

static int names(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = list; at && (at = strstr(at, name)); at += length)
		if ((at == list || at[-1] == ',') && (!at[length] || at[length] == ','))
			return 1;
	return 0;
}

/* In the process that becomes the task, as its user; the tests' jobs are root's. All that it mounts
 * goes with the task. */
int slurm_spank_task_init(spank_t spank, int argc, char **argv)
{
	/* Mounted over: a folder that every machine has and no task of these tests needs. */
	static const char *base = "/mnt", *root = "/mnt/root";
	static const char *binds[] = {"/proc", "/sys", "/dev", "/etc/hosts", "/etc/resolv.conf", NULL};
	const char *stand_in = NULL, *image;
	char home[PATH_MAX];
	struct stat status;

	if (!value[IMAGE])
		return 0;
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "image=", 6))
			stand_in = argv[i] + 6;
	image = find_image(value[IMAGE], stand_in);
	if (!image)
		return -1;
	if (stat(image, &status))
		FAIL("couldn't start container: no such image: %s", image);

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		FAIL("no mount namespace: %m");
	if (mount("tmpfs", base, "tmpfs", 0, "mode=755") || mkdir("/mnt/lower", 0755) || mkdir("/mnt/upper", 0755) ||
	    mkdir("/mnt/work", 0755) || mkdir(root, 0755))
		FAIL("no place for the container: %m");
	if (S_ISDIR(status.st_mode)) {
		if (mount(image, "/mnt/lower", NULL, MS_BIND, NULL))
			FAIL("couldn't start container: %s: %m", image);
	} else if (mount_squashfs(image, "/mnt/lower")) {
		return -1;
	}
	if (mount("overlay", root, "overlay", 0, "lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work"))
		FAIL("overlay: %m");
	for (const char **bind = binds; *bind; bind++)
		if (bind_mount(root, *bind, *bind, 0))
			return -1;
	if (value[MOUNT_HOME] && spank_getenv(spank, "HOME", home, sizeof home) == ESPANK_SUCCESS &&
	    bind_mount(root, home, home, 0))
		return -1;
	if (value[MOUNTS] && bind_all(root, value[MOUNTS]))
		return -1;
	if (!names(value[ENV], "PATH") &&
	    spank_setenv(spank, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1))
		FAIL("cannot set PATH");
	if (chroot(root) || chdir("/"))
		FAIL("chroot: %m");
	if (value[WORKDIR] && chdir(value[WORKDIR]))
		FAIL("couldn't chdir to container working directory: %s: %m", value[WORKDIR]);
	return 0;
}
