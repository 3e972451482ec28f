"""From data to a trained model: the workshop above the specification. Nothing below imports it.

    files, checkpoints    trees on the disk; a whole training run in one file
    training              one loop for every model
    ebm_training          the same around the algorithms for energy-based models
    text_tables, tables   files of rows and columns, as people have them
    bounds                between an interval and the line
    shapes, images        rows that are images or series; MNIST's and CIFAR-10's folders
    units, data           the units in which a model sees data; data sets
    options               every option of a run, written once; Config
    flow_model, energy_model     a model as a run sees it
    sampling              drawing from a trained energy-based model
    density, clusters, samples, adaptive     sampling a density of one's own
    lock, folders, runs   a run's folder, one process at a time; Trained, train_on, load_run
    matching              the data that a trained model is judged on: its own, or another file
    metrics, gaussian, evaluation, energy_evaluation     how good is it
    scikit, estimators    the scikit-learn face
    threads               one BLAS thread
"""
