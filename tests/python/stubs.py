"""Compares a stub with the running module of its name: prints a line for each thing that only one of them has.

    python stubs.py PATH/_raddle.pyi [MODULE]
"""
import ast
import importlib
import inspect
import pathlib
import sys

import _raddle  # noqa: F401 (its extensions are there after it)

#: What every module, or every class, has.
GIVEN = {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__file__", "__builtins__"}
GIVEN_MEMBERS = {"__doc__", "__module__", "__new__", "__weakref__", "__dict__", "__weaklistoffset__",
                 "__dictoffset__", "__static_attributes__", "__firstlineno__", "__hash__", "__slots__",
                 "__class_getitem__", "__del__", "__reduce__", "__reduce_ex__", "__setstate__", "__sizeof__",
                 # A stub says __init__ where C has __new__, and what `object` has by itself it leaves out.
                 "__init__", "__repr__", "__str__", "__setattr__", "__getattribute__", "__delattr__"}
#: A slot of C fills all six in at once; a stub names those that make sense.
COMPARISONS = {"__lt__", "__le__", "__eq__", "__ne__", "__gt__", "__ge__"}


def names_of(body):
    """The definitions of a stub's body by name; a class that only types need (a TypedDict) is left out."""
    found = {}
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if not (isinstance(node, ast.ClassDef) and is_for_types_only(node)):
                found[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            found[node.target.id] = node
    return found


def is_for_types_only(node):
    bases = {ast.unparse(base).split("[")[0] for base in node.bases}
    return bool(bases & {"TypedDict", "Protocol", "NamedTuple", "typing.Protocol"})


def parameters_of_stub(node, method):
    """The parameters that a stub's function can be called with, as inspect names their kinds."""
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    arguments = node.args
    found = [(each.arg, "positional only") for each in arguments.posonlyargs]
    found += [(each.arg, "positional or keyword") for each in arguments.args]
    if arguments.vararg:
        found.append((arguments.vararg.arg, "variadic positional"))
    found += [(each.arg, "keyword only") for each in arguments.kwonlyargs]
    if arguments.kwarg:
        found.append((arguments.kwarg.arg, "variadic keyword"))
    return found[1:] if method and "staticmethod" not in decorators else found


def parameters_of(function, method):
    """The same of the running function, or None if it does not say."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    found = [(each.name, each.kind.description.replace("-", " ")) for each in signature.parameters.values()]
    return found[1:] if method and found and found[0][0] in ("self", "cls", "type") else found


def differences(path, module):
    stub = names_of(ast.parse(path.read_text()).body)
    running = {name: value for name, value in vars(module).items() if name not in GIVEN}
    for name in running.keys() - stub.keys():
        yield f"{name} is in {module.__name__}: add it to {path.name}"
    for name, node in stub.items():
        if name not in running:
            yield f"{name} is in {path.name}: {module.__name__} has no such thing"
        elif isinstance(node, ast.ClassDef) != isinstance(running[name], type):
            yield f"{name} is a class in one of {path.name} and {module.__name__} only"
        elif isinstance(node, ast.ClassDef):
            yield from members(node, running[name])
        elif isinstance(node, ast.FunctionDef) != callable(running[name]):
            yield f"{name} is a function in one of {path.name} and {module.__name__} only"
        elif isinstance(node, ast.FunctionDef):
            yield from signatures(name, node, running[name], False)


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def members(node, running):
    stub = names_of(node.body)
    there = {name for name in vars(running) if name not in GIVEN_MEMBERS | COMPARISONS and not is_private(name)}
    for name in there - stub.keys():
        yield f"{node.name}.{name} is in the module: add it to the stub"
    for name, inner in stub.items():
        if isinstance(inner, ast.AnnAssign) and issubclass(running, BaseException):
            continue  # What each exception of the type is given.
        if not hasattr(running, name):
            yield f"{node.name}.{name} is in the stub: the module has no such thing"
        elif isinstance(inner, ast.FunctionDef) and name not in GIVEN_MEMBERS | COMPARISONS:
            is_property = any(ast.unparse(decorator) in ("property", f"{name}.setter")
                              for decorator in inner.decorator_list)
            if not is_property:
                yield from signatures(f"{node.name}.{name}", inner, getattr(running, name), True)


def signatures(name, node, function, method):
    overloaded = any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)
    running = parameters_of(function, method)
    if running is None or overloaded or name.split(".")[-1].startswith("__"):
        return
    stub = parameters_of_stub(node, method)
    if stub != running:
        yield f"{name} takes {running}, and {stub} by the stub"


if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    module = importlib.import_module((sys.argv[2:] or [path.stem])[0])
    found = list(differences(path, module))
    print("\n".join(found) if found else "the same")
