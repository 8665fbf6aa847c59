"""What is put where it does not belong."""
# fmt: off

INTS = (0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**64, 9**99)
TEXTS = (
    "", " ", "\0", "é", "\ud800", "\U0001f600", "../outside.png", "/dev/zero", "os:system", "antigravity:fly", "x" * 9999
)
VALUES = (
    *INTS, *TEXTS, None, True, False, 0.5, -0.0, 1e308, float("nan"), float("inf"), [], {}, [[]], {"": {}}, [0] * 999
)
OPCODES = (
    b"cos\nsystem\n", b"cbuiltins\neval\n", b"cantigravity\nfly\n", b"ctorch\nload\n", b"c\n\n", b"(ios\nsystem\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n", b"ctorch\nSize\n",
    b"ctorch._utils\n_rebuild_parameter\n", b"ctorch\ndevice\n", b"cnumpy._core.multiarray\nscalar\n", b"cnumpy\ndtype\n",
    b"ctorch.storage\nUntypedStorage\n", b"cbuiltins\nset\n", b"c_codecs\nencode\n", b"Px\n", b"Vecho\n", b"Iabc\n",
    b"R", b"b", b"o", b"Q", b"(", b"t", b"]", b"}", b")", b"0", b"1", b"2", b"N", b"s", b"u", b"a", b"e", b"\x81", b"\x93",
    b"\x85", b"\x86", b"\x87", b"\x88", b"\x94", b"h\0", b"q\0", b"h\xff", b"j\xff\xff\xff\xff", b"r\xff\xff\xff\x7f",
    b"\x8a\xff", b"\x8b\xff\xff\xff\x7f", b"L9999999999999999999L\n", b"X\xff\xff\xff\x7f", b"\x8c\x02hi", b"\x8c\x01\xff",
    b"\x80\x04", b"\x80\xff", b"\x95" + b"\xff" * 8, b"\x8e" + b"\xff" * 8, b"B\xff\xff\xff\xff", b"G\x7f\xf8" + b"\0" * 6,
)
MEMBERS = ("", "/", "../x", "/etc/passwd", "a/" * 99, "x\0y", "\\", "x/", "A")
# Signature of a record of a zip file, and where its fields lie: offset and width.
RECORDS = {
    b"PK\3\4": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2), (30, 1)),
    b"PK\1\2": ((8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2), (38, 4), (42, 4), (46, 1)),
    b"PK\5\6": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}
TIFF_TAGS = (254, 256, 257, 258, 259, 262, 273, 274, 277, 279, 284, 317, 320, 322, 323, 324, 338, 339, 34665, 34675)
PNG_CHUNKS = (
    (b"eXIf", b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\xff\0\0\0"), (b"eXIf", b"MM"), (b"iCCP", b"x\0\0junk"),
    (b"tRNS", b"\0"), (b"tRNS", b"\0" * 6), (b"PLTE", b"\0" * 768), (b"PLTE", b"\0"), (b"gAMA", bytes(4)), (b"IEND", b""),
    (b"acTL", b"\0\0\0\1" * 2), (b"fcTL", b"\xff" * 26), (b"fdAT", b"\0\0\0\0x"), (b"zTXt", b"a\0\0x"), (b"pHYs", bytes(9)),
    (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x"), (b"tIME", b"\xff" * 7), (b"cHRM", b"x"), (b"IDAT", b""), (b"sRGB", b"\t"),
)
JSON = (
    b"[" * 99999, b'{"a":', b'"a":1,', b"NaN", b"1e999", b"\\ud800", b"\xff", b"//", b"-", b"9" * 5000, b"{", b"]", b"}",
    b"\xef\xbb\xbf", b'"model":"srgan",', b"Infinity", b"null", b"\0", b'"', b"true",
)
YAML = (
    b"&a ", b"*a", b"<<: *a\n", b"!!python/object/apply:os.system [x]", b"!!binary x", b"!!timestamp x", b"2001-99-99",
    b"- ", b"? ", b"| ", b"> ", b"{", b"[", b"[" * 99999, b"'", b'"', b"\t", b"---\n", b"...\n", b"%YAML 9.9\n", b"# ",
    b"0o9", b"0b", b"1_0", b"1e999", b".nan", b"60:60", b"~", b"\0", b"\x85", b"\xff", b"!!set {a}", b"!!int x", b"9" * 5000,
    b"!!omap x", b"!!pairs [x]", b"!!float x", b"!!bool x", b"= ", b"<<: x\n", b"? [a]\n: b\n", b"\\ud800", b"  ", b"\n",
    b"a: &a [x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]\n",
)
CSV = (
    b",", b'"', b"\n", b"\r", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b";", b"../outside.png", b"\n\n", b"file", b"'", b"x" * 200000
)
PLACES = (
    "train", "test", "val", *TEXTS, "../../outside.png", "/etc/passwd", ".", "..", "sub", "labels.csv", "a.png/b", "CON"
)
DTYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "C64": 8}
NUMPY_DTYPES = ("|O", "<U9", "<M8", ">i4", "<f2", "|V0", "V9999999999", [("a", "<i4")], "x", "|b1", "<c16")
EVENTS = {  # of sys.audit
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.startfile", "os.kill", "pty.spawn",
    "subprocess.Popen", "pickle.find_class", "ctypes.dlopen", "socket.connect", "socket.bind", "socket.getaddrinfo",
}
CHANGES = {
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
    "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile", "shutil.unpack_archive", "os.chdir",
}
