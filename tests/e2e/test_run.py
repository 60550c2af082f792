def test_first(desk):
    said = desk.run()
    print(said.out, said.err)
    assert said.code == 0
    import time; t=time.time()
    said = desk.run()
    print(said.out, said.err, time.time()-t)
    assert 0
